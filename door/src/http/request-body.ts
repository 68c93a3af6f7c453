import type { IncomingMessage, ServerResponse } from "node:http";
import { MeshError, type Clock } from "@fleetmesh/core";
import type { ByteReservation } from "./byte-budget.ts";

/** Requests whose sender waits for `100 Continue`: the server marks them, whoever reads the body answers. */
export const awaitingContinue = new WeakSet<IncomingMessage>();

// What is still read of a refused body, so that the sender gets to read our answer; beyond it the connection is cut.
const discardBytesMax = 16 * 1024 * 1024;
const discardMsMax = 5_000;

export interface BodyBound {
  readonly bytesMax: number;
  /** What is too large when the body is. */
  readonly kind: "EVENT_TOO_LARGE" | "BATCH_TOO_LARGE";
}

export interface BodyBounds extends BodyBound {
  readonly reservation: ByteReservation;
  /** Makes one of the pieces in which a body came. */
  readonly join: (pieces: readonly Buffer[], byteCount: number) => Buffer;
}

/** Throws before a byte is read when the declared length is over the bound. What is declared is not reserved: only what came. */
export function assertDeclaredLength(request: IncomingMessage, bound: BodyBound): void {
  const declared = request.headers["content-length"];
  if (declared !== undefined && Number(declared) > bound.bytesMax) throw tooLarge(bound);
}

/** The whole body; nothing over the bound is ever held. Throws EVENT_TOO_LARGE or BATCH_TOO_LARGE, DOOR_BUSY, or REQUEST_INVALID when it ends early. */
export function readBody(
  request: IncomingMessage,
  response: ServerResponse,
  bounds: BodyBounds,
): Promise<Buffer> {
  if (awaitingContinue.delete(request)) response.writeContinue();
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let byteCount = 0;
    const settle = (): void => {
      request.off("data", onData).off("end", onEnd).off("close", onClose).off("error", onClose);
    };
    const onData = (chunk: Buffer): void => {
      byteCount += chunk.length;
      try {
        if (byteCount > bounds.bytesMax) throw tooLarge(bounds);
        bounds.reservation.growTo(byteCount);
        chunks.push(chunk);
      } catch (error) {
        settle();
        request.pause();
        reject(MeshError.from(error));
      }
    };
    const onEnd = (): void => {
      settle();
      const [first] = chunks;
      resolve(chunks.length === 1 && first ? first : bounds.join(chunks, byteCount));
    };
    const onClose = (): void => {
      settle();
      reject(new MeshError("REQUEST_INVALID", "The request ended before its body was complete"));
    };
    request.on("data", onData).on("end", onEnd).on("close", onClose).on("error", onClose);
  });
}

/**
 * After an early answer: reads the rest of the body away, a bounded amount for a bounded time. Closing at once would reset
 * the connection under a sender that is still sending, and our answer would be lost to it.
 */
export function discardBody(request: IncomingMessage, clock: Clock): void {
  awaitingContinue.delete(request);
  if (request.complete || request.destroyed) {
    request.resume();
    return;
  }
  let byteCount = 0;
  const cut = (): void => {
    request.socket.destroy();
  };
  const timer = clock.setTimer(discardMsMax, cut);
  request.on("data", (chunk: Buffer) => {
    byteCount += chunk.length;
    if (byteCount > discardBytesMax) cut();
  });
  request.on("error", () => undefined);
  request.once("close", () => timer.cancel());
  request.once("end", () => timer.cancel());
  request.resume();
}

function tooLarge({ bytesMax, kind }: BodyBound): MeshError {
  return new MeshError(kind, `The body is larger than ${bytesMax} bytes`);
}
