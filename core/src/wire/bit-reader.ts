import { wireInvalid } from "./wire-invalid.ts";

/** Reads what BitWriter wrote. Reading past the end is WIRE_INVALID. */
export class BitReader {
  readonly #bytes: Uint8Array;
  #at = 0;
  #held = 0;
  #heldBits = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** A whole number of `count` bits, at most 24. */
  bits(count: number): number {
    while (this.#heldBits < count) {
      const byte = this.#bytes[this.#at++];
      if (byte === undefined) throw wireInvalid("a column goes past the end of the numbers");
      this.#held |= byte << this.#heldBits;
      this.#heldBits += 8;
    }
    const value = this.#held & ((1 << count) - 1);
    this.#held >>>= count;
    this.#heldBits -= count;
    return value;
  }

  /** A whole number of `count` bits, at most 53. */
  longBits(count: number): number {
    let value = 0;
    let scale = 1;
    let left = count;
    for (; left > 24; left -= 24) {
      value += this.bits(24) * scale;
      scale *= 0x1000000;
    }
    return value + this.bits(left) * scale;
  }

  varint(): number {
    let value = 0;
    for (let scale = 1; scale <= 2 ** 49; scale *= 0x80) {
      const byte = this.bits(8);
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        if (value > Number.MAX_SAFE_INTEGER) break;
        return value;
      }
    }
    throw wireInvalid("a number is larger than 2^53");
  }

  /** How many one bits stand before the next zero bit, or `countMax` (at most 16) of them without one behind. */
  ones(countMax: number): number {
    while (this.#heldBits <= 16) {
      const byte = this.#bytes[this.#at];
      if (byte === undefined) break;
      this.#at += 1;
      this.#held |= byte << this.#heldBits;
      this.#heldBits += 8;
    }
    // Behind what is held stand zeros, so this ends there at the latest.
    const zeros = ~this.#held;
    const count = Math.min(countMax, 31 - Math.clz32(zeros & -zeros));
    const read = count < countMax ? count + 1 : count;
    if (read > this.#heldBits) throw wireInvalid("a column goes past the end of the numbers");
    this.#held >>>= read;
    this.#heldBits -= read;
    return count;
  }

  /** Throws unless everything was read, up to the zero bits that fill the last byte. */
  assertEnd(): void {
    if (this.#at < this.#bytes.length || this.#heldBits >= 8 || this.#held !== 0)
      throw wireInvalid("there are numbers left over");
  }
}
