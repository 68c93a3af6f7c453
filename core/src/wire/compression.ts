import {
  constants,
  brotliCompressSync,
  brotliDecompressSync,
  deflateRawSync,
  inflateRawSync,
} from "node:zlib";
import { wireInvalid } from "./wire-invalid.ts";

/** How the texts of a message are compressed: the numbers on the wire. */
export const compression = { none: 0, deflate: 1, brotli: 2 } as const;
export type Compression = (typeof compression)[keyof typeof compression];

/**
 * `small`: brotli, whose built-in dictionary knows English and JSON, won on templates and attributes by measurement.
 * `fast`: deflate at its lowest level, a tenth of the work, for draining a backlog.
 */
export type Effort = "small" | "fast";

/** Below this, neither can win back its own head. */
const worthBytes = 48;

export interface Compressed {
  readonly method: Compression;
  readonly bytes: Uint8Array;
}

/** The smaller of compressed and plain. */
export function compress(bytes: Uint8Array, effort: Effort): Compressed {
  const plain = { method: compression.none, bytes };
  if (bytes.length < worthBytes) return plain;
  const smaller: Compressed =
    effort === "small"
      ? { method: compression.brotli, bytes: brotli(bytes) }
      : { method: compression.deflate, bytes: deflateRawSync(bytes, { level: 1, memLevel: 8 }) };
  return smaller.bytes.length < bytes.length ? smaller : plain;
}

function brotli(bytes: Uint8Array): Uint8Array {
  return brotliCompressSync(bytes, {
    params: {
      [constants.BROTLI_PARAM_QUALITY]: bytes.length > largeBytes ? 5 : 9,
      [constants.BROTLI_PARAM_LGWIN]: 18,
      [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length,
      [constants.BROTLI_PARAM_MODE]: constants.BROTLI_MODE_TEXT,
    },
  });
}

/** Beyond this, higher qualities cost more time than they save bytes. */
const largeBytes = 16_384;

/** Exactly `length` bytes, or WIRE_INVALID; never more memory than that. */
export function decompress(bytes: Uint8Array, method: number, length: number): Uint8Array {
  if (method === compression.none) return bytes;
  const options = { maxOutputLength: Math.max(1, length) };
  try {
    if (method === compression.deflate) return inflateRawSync(bytes, options);
    if (method === compression.brotli) return brotliDecompressSync(bytes, options);
  } catch (cause) {
    throw wireInvalid("its texts do not decompress to the length they claim", cause);
  }
  throw wireInvalid(`there is no compression ${method}`);
}
