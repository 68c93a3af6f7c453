import { MeshError } from "../error/mesh-error.ts";

/**
 * Growing little-endian output. The hot path of buffer, store and uplink: no allocation per field, and as few calls
 * into the runtime as can be (each costs about as much as writing a hundred bytes).
 */
export class ByteWriter {
  #buffer: Buffer<ArrayBuffer>;
  #view: DataView;
  #length = 0;

  constructor(capacity = 1024) {
    this.#buffer = Buffer.allocUnsafeSlow(Math.max(16, capacity));
    this.#view = viewOf(this.#buffer);
  }

  get length(): number {
    return this.#length;
  }

  u8(value: number): void {
    this.#reserve(1);
    this.#buffer[this.#length++] = value;
  }

  u32(value: number): void {
    this.#reserve(4);
    this.#view.setUint32(this.#length, value, true);
    this.#length += 4;
  }

  f64(value: number): void {
    this.#reserve(8);
    this.#view.setFloat64(this.#length, value, true);
    this.#length += 8;
  }

  /** LEB128 of a whole number from 0 to 2^53-1. */
  varint(value: number): void {
    this.#reserve(8);
    let rest = value;
    while (rest > 0x7fffffff) {
      this.#buffer[this.#length++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    while (rest >= 0x80) {
      this.#buffer[this.#length++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    this.#buffer[this.#length++] = rest;
  }

  text(value: string): void {
    if (value.length < shortText && this.#shortAscii(value)) return;
    const byteCount = Buffer.byteLength(value);
    this.varint(byteCount);
    this.#reserve(byteCount);
    this.#length += this.#buffer.write(value, this.#length, "utf8");
  }

  /**
   * A text whose length in UTF-16 units the reader knows from elsewhere: varint of the bytes that UTF-8 needs beyond
   * one per unit (0 = all ASCII), then the UTF-8.
   */
  unitsOfText(value: string): void {
    this.#reserve(1 + 3 * value.length);
    const start = this.#length;
    const byteCount = this.#buffer.write(value, start + 1, "utf8");
    const extra = byteCount - value.length;
    if (extra < 0x80) {
      this.#buffer[start] = extra;
      this.#length = start + 1 + byteCount;
      return;
    }
    this.varint(extra);
    this.#reserve(byteCount);
    this.#length += this.#buffer.write(value, this.#length, "utf8");
  }

  bytes(value: Uint8Array): void {
    this.#reserve(value.length);
    this.#buffer.set(value, this.#length);
    this.#length += value.length;
  }

  patchU32(at: number, value: number): void {
    this.#view.setUint32(at, value, true);
  }

  /** What was written so far, without a copy; valid until the next write. */
  view(): Uint8Array<ArrayBuffer> {
    return this.#buffer.subarray(0, this.#length);
  }

  clear(): void {
    this.#length = 0;
  }

  /** What was written, in an ArrayBuffer of exactly that size that may be transferred; the writer is empty again. */
  take(): Uint8Array<ArrayBuffer> {
    const isExact = this.#buffer.byteLength === this.#length;
    const taken = isExact
      ? this.#buffer
      : Uint8Array.prototype.slice.call(this.#buffer, 0, this.#length);
    this.#buffer = Buffer.allocUnsafeSlow(16);
    this.#view = viewOf(this.#buffer);
    this.#length = 0;
    return new Uint8Array(taken.buffer, taken.byteOffset, taken.byteLength);
  }

  /** Writes a short ASCII text with its length, or nothing at all. */
  #shortAscii(value: string): boolean {
    this.#reserve(1 + shortText);
    const buffer = this.#buffer;
    const start = this.#length + 1;
    for (let index = 0; index < value.length; index += 1) {
      const unit = value.charCodeAt(index);
      if (unit >= 0x80) return false;
      buffer[start + index] = unit;
    }
    buffer[start - 1] = value.length;
    this.#length = start + value.length;
    return true;
  }

  #reserve(byteCount: number): void {
    const needed = this.#length + byteCount;
    if (needed <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, this.#buffer.length * 2));
    this.#buffer.copy(larger, 0, 0, this.#length);
    this.#buffer = larger;
    this.#view = viewOf(larger);
  }
}

/** Up to here a loop over the units beats two calls into the runtime; its length fits one varint byte. */
const shortText = 64;

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Reads what ByteWriter wrote, within bounds: reading past the end is BLOCK_DAMAGED, never a wrong value. */
export class ByteReader {
  readonly #buffer: Buffer;
  readonly #view: DataView;
  #at: number;
  #end: number;

  constructor(bytes: Uint8Array, start = 0, end = bytes.length) {
    this.#buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#view = viewOf(bytes);
    this.#at = start;
    this.#end = end;
    this.seek(start, end);
  }

  get remaining(): number {
    return this.#end - this.#at;
  }

  /** Where the next field is read, from the start of the bytes given. */
  get position(): number {
    return this.#at;
  }

  /** Goes on reading at another stretch of the same bytes. */
  seek(start: number, end: number): void {
    if (start < 0 || start > end || end > this.#buffer.length) throw past();
    this.#at = start;
    this.#end = end;
  }

  u8(): number {
    return this.#buffer[this.#take(1)] as number;
  }

  u32(): number {
    return this.#view.getUint32(this.#take(4), true);
  }

  f64(): number {
    return this.#view.getFloat64(this.#take(8), true);
  }

  varint(): number {
    const first = this.u8();
    if (first < 0x80) return first;
    let value = first & 0x7f;
    for (let scale = 0x80; scale <= 2 ** 49; scale *= 0x80) {
      const byte = this.u8();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        if (value > Number.MAX_SAFE_INTEGER) throw past();
        return value;
      }
    }
    throw past();
  }

  text(): string {
    const byteCount = this.varint();
    const start = this.#take(byteCount);
    return this.#buffer.toString("utf8", start, start + byteCount);
  }

  /** What `unitsOfText` wrote. Throws BLOCK_DAMAGED when the bytes are not that many units. */
  unitsOfText(unitCount: number): string {
    const extra = this.varint();
    const byteCount = unitCount + extra;
    const start = this.#take(byteCount);
    if (extra === 0) return this.#buffer.toString("latin1", start, start + byteCount);
    const value = this.#buffer.toString("utf8", start, start + byteCount);
    if (value.length !== unitCount) throw past();
    return value;
  }

  /** A view into the input, not a copy. */
  bytes(byteCount: number): Uint8Array {
    const start = this.#take(byteCount);
    return new Uint8Array(this.#buffer.buffer, this.#buffer.byteOffset + start, byteCount);
  }

  #take(byteCount: number): number {
    const start = this.#at;
    if (byteCount > this.#end - start) throw past();
    this.#at = start + byteCount;
    return start;
  }
}

function past(): MeshError {
  return new MeshError("BLOCK_DAMAGED", "A field goes past the end of its bytes");
}
