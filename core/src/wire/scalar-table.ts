import { digitsMax } from "./decimal.ts";
import { endsScalar, quotedEnd } from "./split-json.ts";

/** Stands in `fractionDigits` for a scalar that is no plain decimal. */
export const noDecimal = 255;

const scalarsMin = 512;
const minus = 0x2d;
const point = 0x2e;
const zero = 0x30;
const quote = 0x22;
const noPoint = -1;
const notDigits = -2;

/**
 * The scalars of a template, row after row: where each stands, and mantissa and number of fraction digits where it is a
 * decimal whose spelling follows from these: no exponent, no needless zero in front, no minus before zero, at most 15 digits.
 * Flat arrays, read in the same walk that finds a scalar's end: a batch has thousands of scalars.
 */
export class ScalarTable {
  starts = new Uint32Array(0);
  ends = new Uint32Array(0);
  mantissas = new Float64Array(0);
  fractionDigits = new Uint8Array(0);
  /** Of the scalar walked last. */
  #pointAt = noPoint;

  /** Makes room for so many scalars. */
  reserve(count: number): void {
    if (count <= this.starts.length) return;
    const capacity = Math.max(count, scalarsMin, 2 * this.starts.length);
    this.starts = copyOf(this.starts, new Uint32Array(capacity));
    this.ends = copyOf(this.ends, new Uint32Array(capacity));
    this.mantissas = copyOf(this.mantissas, new Float64Array(capacity));
    this.fractionDigits = copyOf(this.fractionDigits, new Uint8Array(capacity));
  }

  /** Takes the scalar that starts here as number `index` and returns its end. */
  take(bytes: Uint8Array, start: number, index: number): number {
    this.starts[index] = start;
    if (bytes[start] !== quote) return (this.ends[index] = this.#takeDecimal(bytes, start, index));
    this.fractionDigits[index] = noDecimal;
    return (this.ends[index] = quotedEnd(bytes, start));
  }

  #takeDecimal(bytes: Uint8Array, start: number, index: number): number {
    const isNegative = bytes[start] === minus;
    const first = isNegative ? start + 1 : start;
    const end = this.#walkDigits(bytes, first, index);
    const pointAt = this.#pointAt;
    const wholeDigits = (pointAt === noPoint ? end : pointAt) - first;
    const fractionDigits = pointAt === noPoint ? 0 : end - pointAt - 1;
    const isPlain =
      pointAt !== notDigits &&
      pointAt !== end - 1 &&
      wholeDigits + fractionDigits <= digitsMax &&
      hasOnlyNeededDigits(wholeDigits, bytes[first] === zero);
    this.fractionDigits[index] = isPlain ? fractionDigits : noDecimal;
    if (isNegative) this.#negate(index);
    return end;
  }

  /** Leaves the digits' number and where the point is. Returns the scalar's end. */
  #walkDigits(bytes: Uint8Array, first: number, index: number): number {
    let mantissa = 0;
    let pointAt = noPoint;
    let at = first;
    for (; at < bytes.length; at += 1) {
      const byte = bytes[at] as number;
      const digit = byte - zero;
      if (digit >= 0 && digit <= 9) mantissa = mantissa * 10 + digit;
      else if (endsScalar[byte] === 1) break;
      else pointAt = byte === point && pointAt === noPoint ? at : notDigits;
    }
    this.mantissas[index] = mantissa;
    this.#pointAt = pointAt;
    return at;
  }

  #negate(index: number): void {
    const mantissa = this.mantissas[index] as number;
    if (mantissa === 0) this.fractionDigits[index] = noDecimal;
    this.mantissas[index] = -mantissa;
  }
}

function hasOnlyNeededDigits(wholeDigits: number, startsWithZero: boolean): boolean {
  return wholeDigits === 1 || (wholeDigits > 1 && !startsWithZero);
}

function copyOf<Flat extends Uint32Array | Float64Array | Uint8Array>(from: Flat, to: Flat): Flat {
  to.set(from);
  return to;
}
