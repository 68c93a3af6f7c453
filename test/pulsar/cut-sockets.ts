import { subscribe } from "node:diagnostics_channel";
import type { Socket } from "node:net";

const sockets = new Set<Socket>();

subscribe("net.client.socket", (message) => {
  const { socket } = message as { socket: Socket };
  sockets.add(socket);
  socket.once("close", () => sockets.delete(socket));
});

/** Resets every connection that this process has made to the port, as when it dies. */
export function cutSockets(port: number): void {
  for (const socket of sockets) if (socket.remotePort === port) socket.resetAndDestroy();
}

/** From now on nothing is read from the connections that there are: their processes stand still. */
export function muteSockets(port: number): void {
  for (const socket of sockets) if (socket.remotePort === port) socket.pause();
}
