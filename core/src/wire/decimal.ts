import { columnValueMax } from "./number-column.ts";

/** Decimal digits up to which every number is exact and below columnValueMax. */
export const digitsMax = 15;

/** What `parseDecimal` found: mantissa × 10^-fractionDigits. */
export interface Decimal {
  mantissa: number;
  fractionDigits: number;
}

const minus = 0x2d;
const point = 0x2e;
const zero = 0x30;

/**
 * Reads `bytes[start, end)` when it is a decimal number whose spelling follows from its mantissa and its number of
 * fraction digits: no exponent, no needless zero in front, no minus before zero, at most 15 digits.
 */
export function parseDecimal(
  bytes: Uint8Array,
  [start, end]: readonly [number, number],
  into: Decimal,
): boolean {
  const first = bytes[start] === minus ? start + 1 : start;
  let mantissa = 0;
  let pointAt = end;
  for (let at = first; at < end; at += 1) {
    const digit = (bytes[at] ?? 0) - zero;
    if (digit >= 0 && digit <= 9) mantissa = mantissa * 10 + digit;
    else if (bytes[at] === point && pointAt === end) pointAt = at;
    else return false;
  }
  const wholeDigits = pointAt - first;
  const fractionDigits = Math.max(0, end - pointAt - 1);
  if (pointAt === end - 1 || wholeDigits + fractionDigits > digitsMax) return false;
  if (!hasOnlyNeededDigits(wholeDigits, bytes[first] === zero)) return false;
  into.mantissa = first > start ? -mantissa : mantissa;
  into.fractionDigits = fractionDigits;
  return !Object.is(into.mantissa, -0);
}

function hasOnlyNeededDigits(wholeDigits: number, startsWithZero: boolean): boolean {
  return wholeDigits === 1 || (wholeDigits > 1 && !startsWithZero);
}

/** The spelling with exactly so many fraction digits. */
export function formatDecimal(mantissa: number, fractionDigits: number): string {
  if (fractionDigits === 0) return String(mantissa);
  const scale = 10 ** fractionDigits;
  const size = Math.abs(mantissa);
  const whole = Math.floor(size / scale);
  const fraction = String(size - whole * scale).padStart(fractionDigits, "0");
  return `${mantissa < 0 ? "-" : ""}${whole}.${fraction}`;
}

/** Whether this spelling is the one without zeros at the end, and fits the scale of its column. */
export function isTrimmed({ mantissa, fractionDigits }: Decimal, columnDigits: number): boolean {
  if (fractionDigits > 0 && mantissa % 10 === 0) return false;
  return Math.abs(mantissa) * 10 ** (columnDigits - fractionDigits) < columnValueMax;
}
