import type { ReadPiece } from "./buffer-messages.ts";

/** The memory of a reading's bodies: handed over between threads instead of copied. */
export function transferablesOf(value: unknown): ArrayBuffer[] {
  if (!Array.isArray(value)) return [];
  const buffers: ArrayBuffer[] = [];
  for (const piece of value as (ReadPiece | boolean)[]) {
    if (typeof piece === "boolean" || piece.kind === "gap") continue;
    const { buffer } = piece.body;
    if (buffer instanceof ArrayBuffer && buffer.byteLength === piece.body.length)
      buffers.push(buffer);
  }
  return buffers;
}
