import { MeshError } from "../error/mesh-error.ts";

/** Growing little-endian output. The hot path of buffer, store and uplink: no allocation per field. */
export class ByteWriter {
  #buffer: Buffer<ArrayBuffer>;
  #length = 0;

  constructor(capacity = 1024) {
    this.#buffer = Buffer.allocUnsafeSlow(Math.max(16, capacity));
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
    this.#length = this.#buffer.writeUInt32LE(value, this.#length);
  }

  f64(value: number): void {
    this.#reserve(8);
    this.#length = this.#buffer.writeDoubleLE(value, this.#length);
  }

  /** LEB128 of a whole number from 0 to 2^53-1. */
  varint(value: number): void {
    this.#reserve(8);
    let rest = value;
    while (rest >= 0x80) {
      this.#buffer[this.#length++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    this.#buffer[this.#length++] = rest;
  }

  text(value: string): void {
    const byteCount = Buffer.byteLength(value);
    this.varint(byteCount);
    this.#reserve(byteCount);
    this.#length += this.#buffer.write(value, this.#length, "utf8");
  }

  bytes(value: Uint8Array): void {
    this.#reserve(value.length);
    this.#buffer.set(value, this.#length);
    this.#length += value.length;
  }

  patchU32(at: number, value: number): void {
    this.#buffer.writeUInt32LE(value, at);
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
    this.#length = 0;
    return new Uint8Array(taken.buffer, taken.byteOffset, taken.byteLength);
  }

  #reserve(byteCount: number): void {
    const needed = this.#length + byteCount;
    if (needed <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, this.#buffer.length * 2));
    this.#buffer.copy(larger, 0, 0, this.#length);
    this.#buffer = larger;
  }
}

/** Reads what ByteWriter wrote, within bounds: reading past the end is BLOCK_DAMAGED, never a wrong value. */
export class ByteReader {
  readonly #buffer: Buffer;
  #at: number;
  readonly #end: number;

  constructor(bytes: Uint8Array, start = 0, end = bytes.length) {
    this.#buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#at = start;
    this.#end = end;
    if (start < 0 || start > end || end > bytes.length) throw past();
  }

  get remaining(): number {
    return this.#end - this.#at;
  }

  u8(): number {
    return this.#buffer[this.#take(1)] as number;
  }

  u32(): number {
    return this.#buffer.readUInt32LE(this.#take(4));
  }

  f64(): number {
    return this.#buffer.readDoubleLE(this.#take(8));
  }

  varint(): number {
    let value = 0;
    for (let scale = 1; scale <= 2 ** 49; scale *= 0x80) {
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
