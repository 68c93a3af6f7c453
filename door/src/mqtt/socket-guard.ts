import type { Socket } from "node:net";
import type { PacketFraming } from "./packet-framing.ts";

export interface SocketGuardOptions {
  readonly framing: PacketFraming;
  readonly outputBytesMax: number;
  /** The connection must be closed, and why. */
  readonly onRefused: (reason: string) => void;
}

/**
 * Puts bounds on a socket that the broker reads and writes by itself.
 * In: every chunk passes the framing before the broker's parser sees it.
 * Out: `write` always says "go on", so that the broker, which waits for the slowest subscriber before it serves the next
 * message, never waits; what a subscriber does not take collects in its own socket's queue, up to the bound.
 * Overriding two methods costs less than another stream layer, and the broker uses no other way in or out.
 */
export function guardSocket(socket: Socket, options: SocketGuardOptions): void {
  const { framing, outputBytesMax, onRefused } = options;
  const originalRead = socket.read.bind(socket);
  const originalWrite = socket.write.bind(socket) as (...given: unknown[]) => boolean;
  socket.read = (size?: number): unknown => {
    const chunk: unknown = originalRead(size);
    if (!Buffer.isBuffer(chunk)) return chunk;
    const why = framing.inspect(chunk);
    if (why === undefined) return chunk;
    onRefused(why);
    return null;
  };
  socket.write = (...given: unknown[]): boolean => {
    originalWrite(...given);
    if (socket.writableLength > outputBytesMax) onRefused("slow_subscriber");
    return true;
  };
}
