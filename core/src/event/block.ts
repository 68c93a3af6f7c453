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
 *   u8 version=2 | u32 crc of all that follows | u32 count | u32 end[count] (offset behind each entry, from the first) | entries
 *   entry: u8 flags | varint sequence | f64 receivedMs | varint length of topic, id, source, type and of each flagged
 *          attribute | [extensions] | the texts | [varint n, data]
 *   extensions = varint n, then n × (varint length of the name, u8 kind, varint length of the text | i32 | nothing)
 *   kind: 0 text, 1 integer, 2 false, 3 true
 *   the texts = all of them in one, in that order: varint of the bytes beyond one per unit, then UTF-8. Lengths are in
 *   UTF-16 units, so that one call decodes them all and the attributes are cut out of it.
 */
export interface BlockEntry {
  readonly topic: string;
  /** The agent's number of this event within its class; 0 when it did not come from an agent. */
  readonly sequence: number;
  /** Wall clock of the door that took it, milliseconds. For people. */
  readonly receivedMs: number;
  readonly event: MeshEvent;
}

const version = 2;
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
  #texts = "";

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
    this.#texts = "";
    this.#text(entry.topic);
    this.#text(event.id);
    this.#text(event.source);
    this.#text(event.type);
    if (event.subject !== undefined) this.#text(event.subject);
    if (event.time !== undefined) this.#text(event.time);
    if (event.datacontenttype !== undefined) this.#text(event.datacontenttype);
    if (event.dataschema !== undefined) this.#text(event.dataschema);
    if (event.extensions.length > 0) this.#extensions(event.extensions);
    out.unitsOfText(this.#texts);
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

  #text(value: string): void {
    this.#entries.varint(value.length);
    this.#texts += value;
  }

  #extensions(extensions: readonly Extension[]): void {
    const out = this.#entries;
    out.varint(extensions.length);
    for (const [name, value] of extensions) {
      this.#text(name);
      if (typeof value === "string") {
        out.u8(0);
        this.#text(value);
      } else if (typeof value === "number") {
        out.u8(1);
        out.u32(value >>> 0);
      } else {
        out.u8(value ? 3 : 2);
      }
    }
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
  readonly #view: DataView;
  readonly #input: ByteReader;
  readonly #entriesAt: number;

  constructor(bytes: Uint8Array) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (bytes.length < headBytes) throw damaged("it is shorter than its head");
    if (bytes[0] !== version) throw damaged(`its version is ${bytes[0] ?? 0}, not ${version}`);
    if (this.#view.getUint32(1, true) !== crc32(bytes.subarray(5)))
      throw damaged("its checksum does not match");
    this.count = this.#view.getUint32(5, true);
    this.#entriesAt = headBytes + 4 * this.count;
    if (this.#entriesAt > bytes.length) throw damaged("it is shorter than its index");
    this.#input = new ByteReader(bytes);
  }

  entry(index: number): BlockEntry {
    if (index < 0 || index >= this.count) throw damaged(`it has no entry ${index}`);
    const start = index === 0 ? 0 : this.#view.getUint32(headBytes + 4 * (index - 1), true);
    const end = this.#view.getUint32(headBytes + 4 * index, true);
    this.#input.seek(this.#entriesAt + start, this.#entriesAt + end);
    return readEntry(this.#input);
  }

  *[Symbol.iterator](): Generator<BlockEntry> {
    for (let index = 0; index < this.count; index += 1) yield this.entry(index);
  }
}

function readEntry(input: ByteReader): BlockEntry {
  const flags = input.u8();
  const sequence = input.varint();
  const receivedMs = input.f64();
  const lengths = new TextLengths(input, flags);
  const texts = new TextCutter(input.unitsOfText(lengths.total));
  const topic = texts.cut(lengths.topic);
  const event: MeshEvent = {
    id: texts.cut(lengths.id),
    source: texts.cut(lengths.source),
    type: texts.cut(lengths.type),
    subject: flags & flag.subject ? texts.cut(lengths.subject) : undefined,
    time: flags & flag.time ? texts.cut(lengths.time) : undefined,
    datacontenttype: flags & flag.contentType ? texts.cut(lengths.contentType) : undefined,
    dataschema: flags & flag.schema ? texts.cut(lengths.schema) : undefined,
    extensions: lengths.extensions === none ? noExtensions : cutAll(lengths.extensions, texts),
    data: flags & flag.data ? input.bytes(input.varint()) : undefined,
    dataKind: dataKinds[flags >> flag.kindShift] ?? "binary",
  };
  return { topic, sequence, receivedMs, event };
}

/** How long a name and a text value are, or the value itself where it is no text. */
type ExtensionLengths = readonly [name: number, text: number, value: AttributeValue | undefined];
const none: readonly ExtensionLengths[] = [];

/** The lengths of an entry's texts, in the order in which they are written. */
class TextLengths {
  readonly topic: number;
  readonly id: number;
  readonly source: number;
  readonly type: number;
  readonly subject: number;
  readonly time: number;
  readonly contentType: number;
  readonly schema: number;
  readonly extensions: readonly ExtensionLengths[];
  total: number;

  constructor(input: ByteReader, flags: number) {
    this.topic = input.varint();
    this.id = input.varint();
    this.source = input.varint();
    this.type = input.varint();
    this.subject = flags & flag.subject ? input.varint() : 0;
    this.time = flags & flag.time ? input.varint() : 0;
    this.contentType = flags & flag.contentType ? input.varint() : 0;
    this.schema = flags & flag.schema ? input.varint() : 0;
    this.total = this.topic + this.id + this.source + this.type;
    this.total += this.subject + this.time + this.contentType + this.schema;
    this.extensions = flags & flag.extensions ? this.#readExtensions(input) : none;
  }

  #readExtensions(input: ByteReader): ExtensionLengths[] {
    const lengths: ExtensionLengths[] = [];
    for (let left = input.varint(); left > 0; left -= 1) {
      const name = input.varint();
      const kind = input.u8();
      const text = kind === 0 ? input.varint() : 0;
      lengths.push([name, text, kind === 0 ? undefined : readValue(input, kind)]);
      this.total += name + text;
    }
    return lengths;
  }
}

/** Cuts texts off the front of their concatenation. */
class TextCutter {
  readonly #texts: string;
  #at = 0;

  constructor(texts: string) {
    this.#texts = texts;
  }

  cut(length: number): string {
    const start = this.#at;
    this.#at = start + length;
    return this.#texts.slice(start, this.#at);
  }
}

function cutAll(lengths: readonly ExtensionLengths[], texts: TextCutter): Extension[] {
  return lengths.map(([name, text, value]) => {
    const key = texts.cut(name);
    return [key, value ?? texts.cut(text)];
  });
}

function readValue(input: ByteReader, kind: number): AttributeValue {
  if (kind === 1) return input.u32() | 0;
  return kind === 3;
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

function damaged(why: string): MeshError {
  return new MeshError("BLOCK_DAMAGED", `A block of events does not read back: ${why}`);
}
