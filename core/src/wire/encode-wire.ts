import { crc32 } from "node:zlib";
import { writeBatch } from "./batch-body.ts";
import { ByteWriter } from "./bytes.ts";
import { compress, type Effort } from "./compression.ts";
import { writeHello } from "./hello-body.ts";
import type { WireMessage } from "./message.ts";
import { SectionWriter } from "./section-writer.ts";

/** The only version so far. A receiver refuses any other. */
export const wireVersion = 1;
/** The numbers of the kinds of messages. */
export const wireKind = { hello: 0, batch: 1 } as const;

export interface WireOptions {
  /** `small` (the default) where bytes are money; `fast` when a backlog has to go. */
  readonly effort?: Effort;
}

/**
 * A message as bytes; docs/wire.md describes them. Each message is read alone.
 *
 *   u8 version=1 | u8 kind + 16 × compression | varint n, n bytes of numbers | varint texts' length before compression |
 *   the texts | u32 CRC-32 of all before, little endian
 *
 * Throws WIRE_INVALID when the message contradicts itself: segments with holes, sequences out of step, an epoch that is none.
 */
export function encodeWire(
  message: WireMessage,
  { effort = "small" }: WireOptions = {},
): Uint8Array<ArrayBuffer> {
  const sections = new SectionWriter(effort);
  if (message.kind === "hello") writeHello(sections, message);
  else writeBatch(sections, message);
  const numbers = sections.numbers.finish();
  const texts = sections.texts();
  const { method, bytes } = compress(texts, effort);
  const out = new ByteWriter(numbers.length + bytes.length + 32);
  out.u8(wireVersion);
  out.u8(wireKind[message.kind] | (method << 4));
  out.varint(numbers.length);
  out.bytes(numbers);
  out.varint(texts.length);
  out.bytes(bytes);
  out.u32(crc32(out.view()));
  return out.take();
}
