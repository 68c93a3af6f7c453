import { crc32 } from "node:zlib";
import { MeshError } from "../error/mesh-error.ts";
import {
  noExtensions,
  type AttributeValue,
  type DataKind,
  type Extension,
  type MeshEvent,
} from "./event.ts";
import { ByteReader, ByteWriter } from "../wire/bytes.ts";

/**
 * How events lie on a disk of ours: many in one row. A block is self-contained and checked by a CRC, and any one entry
 * can be read without decoding the others. Data bytes are copied as they are. Little endian:
 *
 *   u8 version=1 | u32 crc of all that follows | u32 count | u32 end[count] (offset behind each entry, from the first) | entries
 *   entry: u8 flags | varint sequence | f64 receivedMs | text topic | text id, source, type | the optional parts flagged
 *   text = varint bytes + UTF-8; extensions = varint n, then n × (text name, u8 kind 0|1|2, text | i32 | u8)
 */
export interface BlockEntry {
  readonly topic: string;
  /** The agent's number of this event within its class; 0 when it did not come from an agent. */
  readonly sequence: number;
  /** Wall clock of the door that took it, milliseconds. For people. */
  readonly receivedMs: number;
  readonly event: MeshEvent;
}

const version = 1;
const headBytes = 9;
const dataKinds: readonly DataKind[] = ["json", "text", "binary"];
const flag = {
  subject: 1,
  time: 2,
  contentType: 4,
  schema: 8,
  extensions: 16,
  data: 32,
  kindShift: 6,
};

export class BlockWriter {
  #entries = new ByteWriter(16_384);
  #ends: number[] = [];

  get count(): number {
    return this.#ends.length;
  }

  get byteCount(): number {
    return headBytes + 4 * this.#ends.length + this.#entries.length;
  }

  add(entry: BlockEntry): void {
    const out = this.#entries;
    const { event } = entry;
    out.u8(flagsOf(event));
    out.varint(entry.sequence);
    out.f64(entry.receivedMs);
    out.text(entry.topic);
    out.text(event.id);
    out.text(event.source);
    out.text(event.type);
    if (event.subject !== undefined) out.text(event.subject);
    if (event.time !== undefined) out.text(event.time);
    if (event.datacontenttype !== undefined) out.text(event.datacontenttype);
    if (event.dataschema !== undefined) out.text(event.dataschema);
    if (event.extensions.length > 0) writeExtensions(out, event.extensions);
    if (event.data !== undefined) {
      out.varint(event.data.length);
      out.bytes(event.data);
    }
    this.#ends.push(out.length);
  }

  /** The finished block in memory of its own; the writer is empty again. */
  finish(): Uint8Array<ArrayBuffer> {
    const block = new ByteWriter(this.byteCount);
    block.u8(version);
    block.u32(0);
    block.u32(this.#ends.length);
    for (const end of this.#ends) block.u32(end);
    block.bytes(this.#entries.view());
    block.patchU32(1, crc32(block.view().subarray(5)));
    this.#entries.clear();
    this.#ends = [];
    return block.take();
  }
}

export function encodeBlock(entries: Iterable<BlockEntry>): Uint8Array<ArrayBuffer> {
  const writer = new BlockWriter();
  for (const entry of entries) writer.add(entry);
  return writer.finish();
}

/** Reads a block in place: entries' data are views into the given bytes. Throws BLOCK_DAMAGED before anything wrong is used. */
export class BlockReader {
  readonly count: number;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #entriesAt: number;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (bytes.length < headBytes) throw damaged("it is shorter than its head");
    if (bytes[0] !== version) throw damaged(`its version is ${bytes[0] ?? 0}, not ${version}`);
    if (this.#view.getUint32(1, true) !== crc32(bytes.subarray(5)))
      throw damaged("its checksum does not match");
    this.count = this.#view.getUint32(5, true);
    this.#entriesAt = headBytes + 4 * this.count;
    if (this.#entriesAt > bytes.length) throw damaged("it is shorter than its index");
  }

  entry(index: number): BlockEntry {
    if (index < 0 || index >= this.count) throw damaged(`it has no entry ${index}`);
    const start = index === 0 ? 0 : this.#view.getUint32(headBytes + 4 * (index - 1), true);
    const end = this.#view.getUint32(headBytes + 4 * index, true);
    return readEntry(new ByteReader(this.#bytes, this.#entriesAt + start, this.#entriesAt + end));
  }

  *[Symbol.iterator](): Generator<BlockEntry> {
    for (let index = 0; index < this.count; index += 1) yield this.entry(index);
  }
}

function readEntry(input: ByteReader): BlockEntry {
  const flags = input.u8();
  const sequence = input.varint();
  const receivedMs = input.f64();
  const topic = input.text();
  const event: MeshEvent = {
    id: input.text(),
    source: input.text(),
    type: input.text(),
    subject: flags & flag.subject ? input.text() : undefined,
    time: flags & flag.time ? input.text() : undefined,
    datacontenttype: flags & flag.contentType ? input.text() : undefined,
    dataschema: flags & flag.schema ? input.text() : undefined,
    extensions: flags & flag.extensions ? readExtensions(input) : noExtensions,
    data: flags & flag.data ? input.bytes(input.varint()) : undefined,
    dataKind: dataKinds[flags >> flag.kindShift] ?? "binary",
  };
  return { topic, sequence, receivedMs, event };
}

function flagsOf(event: MeshEvent): number {
  return (
    (event.subject === undefined ? 0 : flag.subject) |
    (event.time === undefined ? 0 : flag.time) |
    (event.datacontenttype === undefined ? 0 : flag.contentType) |
    (event.dataschema === undefined ? 0 : flag.schema) |
    (event.extensions.length === 0 ? 0 : flag.extensions) |
    (event.data === undefined ? 0 : flag.data) |
    (dataKinds.indexOf(event.dataKind) << flag.kindShift)
  );
}

/** Extensions in their order with their types; shared by the block and the wire format. */
export function writeExtensions(out: ByteWriter, extensions: readonly Extension[]): void {
  out.varint(extensions.length);
  for (const [name, value] of extensions) {
    out.text(name);
    writeValue(out, value);
  }
}

function writeValue(out: ByteWriter, value: AttributeValue): void {
  if (typeof value === "string") {
    out.u8(0);
    out.text(value);
  } else if (typeof value === "number") {
    out.u8(1);
    out.u32(value >>> 0);
  } else {
    out.u8(value ? 3 : 2);
  }
}

export function readExtensions(input: ByteReader): Extension[] {
  const extensions: Extension[] = [];
  for (let left = input.varint(); left > 0; left -= 1)
    extensions.push([input.text(), readValue(input)]);
  return extensions;
}

function readValue(input: ByteReader): AttributeValue {
  const kind = input.u8();
  if (kind === 0) return input.text();
  if (kind === 1) return input.u32() | 0;
  return kind === 3;
}

function damaged(why: string): MeshError {
  return new MeshError("BLOCK_DAMAGED", `A block of events does not read back: ${why}`);
}
