import { chmod, lstat, unlink } from "node:fs/promises";
import { createConnection, type Server } from "node:net";
import { MeshError } from "@fleetmesh/core";

export type ListenAddress =
  { readonly host: string; readonly port: number } | { readonly socketPath: string };

// Who may connect to a socket file is who may write to it: the owner and the group.
const socketMode = 0o660;

/** Resolves when the server listens. Errors: PORT_TAKEN, naming the address. A socket file that nobody serves is replaced. */
export async function listen(server: Server, address: ListenAddress): Promise<void> {
  if (!("socketPath" in address)) {
    await bind(server, address);
    return;
  }
  await removeStale(address.socketPath);
  await bind(server, address);
  await chmod(address.socketPath, socketMode);
}

function bind(server: Server, address: ListenAddress): Promise<void> {
  return new Promise((resolve, reject) => {
    const onError = (cause: Error): void => {
      server.off("listening", onListening);
      reject(toMeshError(cause, address));
    };
    const onListening = (): void => {
      server.off("error", onError);
      resolve();
    };
    server.once("error", onError).once("listening", onListening);
    if ("socketPath" in address) server.listen({ path: address.socketPath });
    else server.listen({ host: address.host, port: address.port });
  });
}

function toMeshError(cause: Error, address: ListenAddress): MeshError {
  const name = "socketPath" in address ? address.socketPath : `${address.host}:${address.port}`;
  const code = "code" in cause ? cause.code : undefined;
  if (code === "EADDRINUSE") return new MeshError("PORT_TAKEN", `${name} is in use`, { cause });
  return new MeshError("CONFIG_INVALID", `Cannot listen on ${name}: ${cause.message}`, { cause });
}

/** Only a socket is ever removed, and only when nobody answers on it: a file of the user's stays, a live server keeps its own. */
async function removeStale(path: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined);
  if (!found) return;
  if (!found.isSocket()) {
    throw new MeshError("CONFIG_INVALID", `${path} exists and is not a socket`, {
      hint: "Choose another path, or remove the file.",
    });
  }
  if (await isServed(path)) throw new MeshError("PORT_TAKEN", `${path} is in use`);
  await unlink(path).catch(() => undefined);
}

function isServed(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createConnection({ path });
    const settle = (isAlive: boolean) => (): void => {
      probe.destroy();
      resolve(isAlive);
    };
    probe.once("connect", settle(true));
    probe.once("error", (error: NodeJS.ErrnoException) => {
      // Anything but "nobody listens" (a full backlog, no permission) means somebody may.
      settle(error.code !== "ECONNREFUSED" && error.code !== "ENOENT")();
    });
  });
}
