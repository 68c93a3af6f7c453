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
 * Reads `text[start, end)` when it is a decimal number whose spelling follows from its mantissa and its number of
 * fraction digits: no exponent, no needless zero in front, no minus before zero, at most 15 digits.
 */
export function parseDecimal(
  text: string,
  bounds: readonly [number, number],
  into: Decimal,
): boolean {
  const [start, end] = bounds;
  const isNegative = text.charCodeAt(start) === minus;
  const first = isNegative ? start + 1 : start;
  let mantissa = 0;
  let pointAt = end;
  for (let at = first; at < end; at += 1) {
    const code = text.charCodeAt(at);
    if (code === point && pointAt === end && at > first) {
      pointAt = at;
      continue;
    }
    const digit = code - zero;
    if (digit < 0 || digit > 9) return false;
    mantissa = mantissa * 10 + digit;
  }
  const wholeDigits = pointAt - first;
  const fractionDigits = pointAt === end ? 0 : end - pointAt - 1;
  if (wholeDigits === 0 || wholeDigits + fractionDigits > digitsMax) return false;
  if (pointAt === end - 1) return false;
  if (wholeDigits > 1 && text.charCodeAt(first) === zero) return false;
  if (isNegative && mantissa === 0) return false;
  into.mantissa = isNegative ? -mantissa : mantissa;
  into.fractionDigits = fractionDigits;
  return true;
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

/** The spelling without zeros at the end of the fraction, as most programs print. */
export function formatTrimmed(mantissa: number, fractionDigits: number): string {
  let rest = mantissa;
  let digits = fractionDigits;
  while (digits > 0 && rest % 10 === 0) {
    rest /= 10;
    digits -= 1;
  }
  return formatDecimal(rest, digits);
}

/** Whether this spelling is the one without zeros at the end, and fits the scale of its column. */
export function isTrimmed({ mantissa, fractionDigits }: Decimal, columnDigits: number): boolean {
  if (fractionDigits > 0 && mantissa % 10 === 0) return false;
  return Math.abs(mantissa) * 10 ** (columnDigits - fractionDigits) < columnValueMax;
}
