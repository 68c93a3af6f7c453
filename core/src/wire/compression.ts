import { deflateRawSync, inflateRawSync, type ZlibOptions } from "node:zlib";
import { wireInvalid } from "./wire-invalid.ts";

/** How the texts of a message are compressed: the numbers on the wire. */
const compression = { none: 0, deflate: 1 } as const;

/** `small` where bytes are money; `fast` when a backlog has to go. */
export type Effort = "small" | "fast";

/**
 * Measured on the texts of a hundred telemetry events (894 bytes): deflate 9 gave 299 bytes in 28 µs, deflate 1 315 in
 * 30, brotli 4 to 9 303 to 308 in 50 to 90, brotli 11 270 in 2,300, gzip 317. Long texts are raw data, where the higher
 * levels cost more than they save. Short ones cost what zlib sets up for them: the memory of a window of 4 KiB is a tenth
 * of the default, and the bytes are the same.
 */
function zlibOptions(byteCount: number, effort: Effort): ZlibOptions {
  if (byteCount <= shortBytes) return { level: 9, windowBits: 12, memLevel: 6, chunkSize: 2_048 };
  if (effort === "fast" || byteCount > hugeBytes) return { level: 1 };
  return { level: byteCount > longBytes ? 6 : 9 };
}
const shortBytes = 4_096;
const longBytes = 16_384;
/**
 * More than a batch is a single large event. Compressing 10 MB takes some 300 ms where they do not give in, such as a
 * picture's, and the whole process waits for it: a sample tells before.
 */
const hugeBytes = 512 * 1024;
const sampleBytes = 32 * 1024;
const sampleGain = 0.95;

/** Below this, compression cannot win back its own head. */
const worthBytes = 48;

export interface Compressed {
  readonly method: (typeof compression)[keyof typeof compression];
  readonly bytes: Uint8Array;
}

/** The smaller of compressed and plain. */
export function compress(bytes: Uint8Array, effort: Effort): Compressed {
  const plain = { method: compression.none, bytes };
  if (bytes.length < worthBytes || isDense(bytes)) return plain;
  const deflated = deflateRawSync(bytes, zlibOptions(bytes.length, effort));
  return deflated.length < bytes.length ? { method: compression.deflate, bytes: deflated } : plain;
}

/** Judged by its middle: heads of files are unlike the rest. */
function isDense(bytes: Uint8Array): boolean {
  if (bytes.length <= hugeBytes) return false;
  const from = (bytes.length - sampleBytes) >>> 1;
  const sample = bytes.subarray(from, from + sampleBytes);
  return deflateRawSync(sample, { level: 1 }).length > sampleGain * sample.length;
}

/** Throws WIRE_INVALID when it is not exactly `length` bytes; takes never more memory than that. */
export function decompress(bytes: Uint8Array, method: number, length: number): Uint8Array {
  if (method === compression.none) return bytes;
  if (method !== compression.deflate) throw wireInvalid(`there is no compression ${method}`);
  try {
    return inflateRawSync(bytes, { maxOutputLength: Math.max(1, length) });
  } catch (cause) {
    throw wireInvalid("its texts do not decompress to the length they claim", cause);
  }
}
