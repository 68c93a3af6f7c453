import * as zlib from "node:zlib";
import { constants, deflateSync, inflateSync } from "node:zlib";
import { MeshError } from "@fleetmesh/core";

/** Pulsar's numbers of what it calls codecs. */
const codecs = ["none", "LZ4", "zlib", "zstd", "Snappy"] as const;
const zlibCodec = codecs.indexOf("zlib");

export type PayloadCompression = "none" | "zlib";

export interface CompressedPayload {
  readonly codec: number;
  readonly bytes: Uint8Array;
}

/** No producer's batch is larger; what claims more is a trap. */
const plainBytesMax = 64 * 1024 * 1024;

/** Newer Nodes have it. */
type ZstdDecompress = (bytes: Uint8Array, options: { maxOutputLength: number }) => Buffer;
const zstd = (zlib as { zstdDecompressSync?: ZstdDecompress }).zstdDecompressSync;

/**
 * What is smaller goes as it is. Each call of zlib takes a quarter of a megabyte for its tables, which the garbage collector has to
 * find again: at a thousand single events a second that alone kept it busy. Under load events go in batches, which are larger.
 */
const worthBytes = 4 * 1024;

/** Level 1: the bytes go to the next machine, not over a vehicle's uplink. What does not shrink goes as it is. */
export function compressPayload(bytes: Uint8Array, wanted: PayloadCompression): CompressedPayload {
  if (wanted === "zlib" && bytes.length >= worthBytes) {
    const deflated = deflateSync(bytes, { level: 1 });
    if (deflated.length < bytes.length) return { codec: zlibCodec, bytes: deflated };
  }
  return { codec: 0, bytes };
}

/** Throws PULSAR_UNAVAILABLE for what cannot be read here; takes never more memory than `size`. */
export function decompressPayload(bytes: Buffer, codec: number, size: number): Buffer {
  if (codec === 0) return bytes;
  const maxOutputLength = Math.min(Math.max(1, size), plainBytesMax);
  const plain = decompress(bytes, codec, maxOutputLength);
  // The stream's end is not looked for, so that a cut one must show here.
  if (plain.length !== size) throw notWhole();
  return plain;
}

function decompress(bytes: Buffer, codec: number, maxOutputLength: number): Buffer {
  try {
    // Java's clients, and the broker's compaction, flush the stream and never end it.
    const finishFlush = constants.Z_SYNC_FLUSH;
    if (codec === zlibCodec) return inflateSync(bytes, { maxOutputLength, finishFlush });
    if (codecs[codec] === "zstd" && zstd !== undefined) return zstd(bytes, { maxOutputLength });
  } catch (cause) {
    throw notWhole(cause);
  }
  const name = codecs[codec] ?? `number ${codec}`;
  throw new MeshError("PULSAR_UNAVAILABLE", `The message is compressed with ${name}`, {
    retryable: false,
    hint: "Let its producer use ZLIB or no compression: others cannot be read here.",
  });
}

const notWhole = (cause?: unknown): MeshError =>
  new MeshError("PULSAR_UNAVAILABLE", "The message does not decompress", { cause });
