import { formatDecimal } from "./decimal.ts";

/** A view keeps all of its slab in memory: small enough for that, large enough to hold a dozen events. */
const slabBytes = 16_384;
/** Up to here a loop beats a call into the runtime. */
const shortBytes = 16;
/** Digits, sign and point of the longest decimal, and more. */
const decimalBytesMax = 24;
const intEnd = 2 ** 31;

const minus = 0x2d;
const point = 0x2e;
const zero = 0x30;

/**
 * Puts the data of events together as bytes, piece by piece, without a string in between. What was taken lies side by side
 * in slabs that are never written again.
 */
export class DataBytes {
  #slab = Buffer.allocUnsafeSlow(slabBytes);
  #start = 0;
  #end = 0;

  /** Of what was put since the last `take`. */
  get length(): number {
    return this.#end - this.#start;
  }

  piece(bytes: Buffer): void {
    this.#reserve(bytes.length);
    this.#end += bytes.copy(this.#slab, this.#end);
  }

  byte(value: number): void {
    this.#reserve(1);
    this.#slab[this.#end++] = value;
  }

  byteText(text: string): void {
    const { length } = text;
    this.#reserve(length);
    if (length > shortBytes) {
      this.#slab.write(text, this.#end, "latin1");
    } else {
      const slab = this.#slab;
      const start = this.#end;
      for (let at = 0; at < length; at += 1) slab[start + at] = text.charCodeAt(at);
    }
    this.#end += length;
  }

  /** As `formatDecimal` spells it. */
  decimal(mantissa: number, fractionDigits: number): void {
    const size = Math.abs(mantissa);
    if (size >= intEnd) {
      this.byteText(formatDecimal(mantissa, fractionDigits));
      return;
    }
    this.#reserve(decimalBytesMax);
    if (mantissa < 0) this.#slab[this.#end++] = minus;
    this.#digits(size | 0, fractionDigits);
  }

  /** What was put since the last time, as bytes of their own. */
  take(): Buffer {
    const bytes = this.#slab.subarray(this.#start, this.#end);
    this.#start = this.#end;
    return bytes;
  }

  /** Forgets what was put since the last `take`. */
  drop(): void {
    this.#end = this.#start;
  }

  #digits(value: number, fractionDigits: number): void {
    const slab = this.#slab;
    const whole = Math.max(digitCount(value), fractionDigits + 1);
    const end = this.#end + whole + (fractionDigits > 0 ? 1 : 0);
    const pointAt = fractionDigits > 0 ? end - fractionDigits - 1 : -1;
    let rest = value;
    for (let at = end - 1; at >= this.#end; at -= 1) {
      if (at === pointAt) {
        slab[at] = point;
        continue;
      }
      const tenth = (rest / 10) | 0;
      slab[at] = zero + rest - tenth * 10;
      rest = tenth;
    }
    this.#end = end;
  }

  #reserve(byteCount: number): void {
    if (this.#end + byteCount <= this.#slab.length) return;
    const put = this.#end - this.#start;
    const slab = Buffer.allocUnsafeSlow(Math.max(slabBytes, 2 * (put + byteCount)));
    this.#slab.copy(slab, 0, this.#start, this.#end);
    this.#slab = slab;
    this.#start = 0;
    this.#end = put;
  }
}

function digitCount(value: number): number {
  let count = 1;
  for (let limit = 10; value >= limit && count < 10; limit *= 10) count += 1;
  return count;
}
