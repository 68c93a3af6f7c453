import type { Effort } from "./compression.ts";

/** Growing output of bits, least significant first. The number section of a batch: a column costs bits, not bytes. */
export class BitWriter {
  /** How hard columns look for their smallest form. */
  readonly effort: Effort;
  #bytes = new Uint8Array(4096);
  #length = 0;
  #held = 0;
  #heldBits = 0;

  constructor(effort: Effort = "small") {
    this.effort = effort;
  }

  /** The low `count` bits of a whole number; at most 24. */
  bits(value: number, count: number): void {
    this.#held |= value << this.#heldBits;
    this.#heldBits += count;
    while (this.#heldBits >= 8) {
      if (this.#length === this.#bytes.length) this.#grow();
      this.#bytes[this.#length++] = this.#held;
      this.#held >>>= 8;
      this.#heldBits -= 8;
    }
  }

  /** The low `count` bits of a whole number of at most 53 bits. */
  longBits(value: number, count: number): void {
    let rest = value;
    let left = count;
    for (; left > 24; left -= 24) {
      this.bits(rest % 0x1000000, 24);
      rest = Math.floor(rest / 0x1000000);
    }
    this.bits(rest, left);
  }

  /** LEB128 of a whole number from 0 to 2^53-1, on whatever bit it comes. */
  varint(value: number): void {
    let rest = value;
    while (rest >= 0x80) {
      this.bits((rest % 0x80) | 0x80, 8);
      rest = Math.floor(rest / 0x80);
    }
    this.bits(rest, 8);
  }

  /** The finished bytes, the last one filled up with zero bits. */
  finish(): Uint8Array {
    if (this.#heldBits > 0) this.bits(0, 8 - this.#heldBits);
    return this.#bytes.subarray(0, this.#length);
  }

  #grow(): void {
    const larger = new Uint8Array(this.#bytes.length * 2);
    larger.set(this.#bytes);
    this.#bytes = larger;
  }
}
