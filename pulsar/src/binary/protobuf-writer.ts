const wireVarint = 0;
const wireBytes = 2;
/** Up to here a loop over the units beats a call into the runtime. */
const shortText = 48;

/** Growing protobuf output, by field number. One is used again and again, so that the hot path allocates nothing. */
export class ProtobufWriter {
  #buffer: Buffer;
  #length = 0;

  constructor(capacity = 1024) {
    this.#buffer = Buffer.allocUnsafeSlow(capacity);
  }

  get length(): number {
    return this.#length;
  }

  clear(): void {
    this.#length = 0;
  }

  /** What was written so far, without a copy; valid until the next write. */
  view(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }

  /** A whole number from 0 to 2^53-1, or -1. */
  number(field: number, value: number): void {
    this.#reserve(16);
    this.#varint(field * 8 + wireVarint);
    if (value < 0) this.#minusOne();
    else this.#varint(value);
  }

  flag(field: number, value: boolean): void {
    this.number(field, value ? 1 : 0);
  }

  text(field: number, value: string): void {
    this.#reserve(8 + shortText);
    this.#varint(field * 8 + wireBytes);
    if (value.length < shortText && this.#shortAscii(value)) return;
    const byteCount = Buffer.byteLength(value);
    this.#reserve(8 + byteCount);
    this.#varint(byteCount);
    this.#length += this.#buffer.write(value, this.#length, "utf8");
  }

  bytes(field: number, value: Uint8Array): void {
    this.#reserve(16 + value.length);
    this.#varint(field * 8 + wireBytes);
    this.#varint(value.length);
    this.#buffer.set(value, this.#length);
    this.#length += value.length;
  }

  /** Begins a message inside this one; `end` takes what this gives. */
  begin(field: number): number {
    this.#reserve(16);
    this.#varint(field * 8 + wireBytes);
    return this.beginSized();
  }

  /** Begins a message that has only its length before it. */
  beginSized(): number {
    this.#reserve(1);
    this.#length += 1;
    return this.#length;
  }

  /** Nearly all are shorter than 128 bytes, for which one byte of length was left free; longer ones are moved. */
  end(start: number): void {
    const byteCount = this.#length - start;
    if (byteCount < 0x80) {
      this.#buffer[start - 1] = byteCount;
      return;
    }
    const more = sizeOfVarint(byteCount) - 1;
    this.#reserve(more);
    this.#buffer.copyWithin(start + more, start, this.#length);
    this.#length = start - 1;
    this.#varint(byteCount);
    this.#length += byteCount;
  }

  raw(value: Uint8Array): void {
    this.#reserve(value.length);
    this.#buffer.set(value, this.#length);
    this.#length += value.length;
  }

  u16(value: number): void {
    this.#reserve(2);
    this.#length = this.#buffer.writeUInt16BE(value, this.#length);
  }

  u32(value: number): void {
    this.#reserve(4);
    this.#length = this.#buffer.writeUInt32BE(value, this.#length);
  }

  patchU32(at: number, value: number): void {
    this.#buffer.writeUInt32BE(value, at);
  }

  /** Writes length and text, or nothing at all. */
  #shortAscii(value: string): boolean {
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

  #varint(value: number): void {
    const buffer = this.#buffer;
    let rest = value;
    while (rest > 0x7fffffff) {
      buffer[this.#length++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    while (rest >= 0x80) {
      buffer[this.#length++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    buffer[this.#length++] = rest;
  }

  /** 2^64-1, as protobuf writes -1. */
  #minusOne(): void {
    this.#buffer.fill(0xff, this.#length, this.#length + 9);
    this.#buffer[this.#length + 9] = 1;
    this.#length += 10;
  }

  #reserve(byteCount: number): void {
    const needed = this.#length + byteCount;
    if (needed <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, this.#buffer.length * 2));
    this.#buffer.copy(larger, 0, 0, this.#length);
    this.#buffer = larger;
  }
}

function sizeOfVarint(value: number): number {
  let size = 1;
  for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) size += 1;
  return size;
}
