import { protocolBroken } from "./protocol-broken.ts";

const wireVarint = 0;
const wireFixed64 = 1;
const wireBytes = 2;
const wireFixed32 = 5;

/** Reads protobuf within its bounds: past the end, or of the wrong kind, is PULSAR_UNAVAILABLE, never a wrong value. */
export class ProtobufReader {
  readonly buffer: Buffer;
  /** Of the field that `next` stands on. */
  field = 0;
  /** Where a text or message begins and ends, after `span`. */
  start = 0;
  end = 0;
  #wire = 0;
  #at: number;
  #limit: number;

  constructor(buffer: Buffer, start = 0, end = buffer.length) {
    this.buffer = buffer;
    this.#at = start;
    this.#limit = end;
  }

  get position(): number {
    return this.#at;
  }

  get limit(): number {
    return this.#limit;
  }

  get isNumber(): boolean {
    return this.#wire === wireVarint;
  }

  get isSpan(): boolean {
    return this.#wire === wireBytes;
  }

  /** Goes on with another stretch of the same bytes. */
  seek(start: number, end: number): void {
    if (start < 0 || start > end || end > this.buffer.length) throw protocolBroken("a length");
    this.#at = start;
    this.#limit = end;
  }

  /** Steps to the next field; false at the end of the message. */
  next(): boolean {
    if (this.#at >= this.#limit) return false;
    const tag = this.#varint();
    this.field = Math.floor(tag / 8);
    this.#wire = tag % 8;
    return true;
  }

  /** A whole number; what protobuf wrote as a negative one is negative again. */
  number(): number {
    this.#expect(wireVarint);
    return this.#varint();
  }

  /** Steps over a text, bytes or message, leaving its place in `start` and `end`. */
  span(): void {
    this.#expect(wireBytes);
    const byteCount = this.#varint();
    if (byteCount < 0 || byteCount > this.#limit - this.#at)
      throw protocolBroken("a field's length");
    this.start = this.#at;
    this.end = this.#at + byteCount;
    this.#at = this.end;
  }

  text(): string {
    this.span();
    return this.buffer.toString("utf8", this.start, this.end);
  }

  skip(): void {
    if (this.#wire === wireVarint) this.#varint();
    else if (this.#wire === wireBytes) this.span();
    else if (this.#wire === wireFixed64) this.#step(8);
    else if (this.#wire === wireFixed32) this.#step(4);
    else throw protocolBroken(`wire type ${this.#wire}`);
  }

  #expect(wire: number): void {
    if (this.#wire !== wire)
      throw protocolBroken(`field ${this.field} is of wire type ${this.#wire}`);
  }

  #step(byteCount: number): void {
    if (byteCount > this.#limit - this.#at) throw protocolBroken("a field's end");
    this.#at += byteCount;
  }

  #varint(): number {
    const first = this.#byte();
    if (first < 0x80) return first;
    let low = first & 0x7f;
    for (let shift = 7; shift < 28; shift += 7) {
      const byte = this.#byte();
      low |= (byte & 0x7f) << shift;
      if (byte < 0x80) return low;
    }
    return this.#long(low);
  }

  /** What is beyond 28 bits, in 64 bits of two's complement. */
  #long(low28: number): number {
    let high = 0;
    for (let index = 0; index < 6; index += 1) {
      const byte = this.#byte();
      high += (byte & 0x7f) * 2 ** (7 * index);
      if (byte < 0x80) return signed(high % 2 ** 36, low28);
    }
    throw protocolBroken("a number of more than ten bytes");
  }

  #byte(): number {
    if (this.#at >= this.#limit) throw protocolBroken("a number's end");
    return this.buffer[this.#at++] as number;
  }
}

function signed(high36: number, low28: number): number {
  const high = high36 >= 2 ** 35 ? high36 - 2 ** 36 : high36;
  return high * 2 ** 28 + low28;
}
