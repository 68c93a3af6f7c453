import { readNumbers, riceColumnCost, writeNumbers } from "./number-column.ts";
import type { SectionReader } from "./section-reader.ts";
import type { SectionWriter } from "./section-writer.ts";
import { wireInvalid } from "./wire-invalid.ts";

/**
 * Texts that differ in one decimal number: prefix text, suffix text, varint width, then a number column. Width 0 = the
 * number as it is; otherwise it is filled up with zeros to that width.
 */
const digitsMax = 15;

/** Undefined when the texts are not of this form. */
export function planCounter(values: readonly string[]): ((out: SectionWriter) => void) | undefined {
  const { prefix, suffix } = sharedEnds(values);
  const numbers = new Float64Array(values.length);
  const width = widthOf(values, prefix.length + suffix.length);
  for (let row = 0; row < values.length; row += 1) {
    const text = values[row] ?? "";
    const number = numberOf(text.slice(prefix.length, text.length - suffix.length), width);
    if (number === undefined) return undefined;
    numbers[row] = number;
  }
  // Random digits are cheaper as hexadecimal digits of 4 bits than as outliers of a number column.
  if (riceColumnCost(numbers) > 4 * Math.max(1, width) * values.length && width > 0)
    return undefined;
  return (out) => {
    out.text(prefix);
    out.text(suffix);
    out.numbers.varint(width);
    writeNumbers(out.numbers, numbers);
  };
}

/** The longest shared prefix that does not end within digits, and the shared suffix that does not start within them. */
function sharedEnds(values: readonly string[]): { prefix: string; suffix: string } {
  const [first = ""] = values;
  let start = first.length;
  let end = first.length;
  for (const value of values) {
    start = Math.min(start, value.length);
    end = Math.min(end, value.length);
    let at = 0;
    while (at < start && value.charCodeAt(at) === first.charCodeAt(at)) at += 1;
    start = at;
    at = 0;
    while (
      at < end &&
      value.charCodeAt(value.length - 1 - at) === first.charCodeAt(first.length - 1 - at)
    )
      at += 1;
    end = at;
  }
  while (start > 0 && isDigit(first.charCodeAt(start - 1))) start -= 1;
  while (end > 0 && isDigit(first.charCodeAt(first.length - end))) end -= 1;
  return { prefix: first.slice(0, start), suffix: first.slice(first.length - end) };
}

function isDigit(code: number): boolean {
  return code >= 0x30 && code <= 0x39;
}

/** The width to which all numbers are filled up with zeros, or 0 when none starts with one. */
function widthOf(values: readonly string[], sharedLength: number): number {
  const [first = ""] = values;
  const width = first.length - sharedLength;
  return values.every((value) => value.length - sharedLength === width) ? Math.max(0, width) : 0;
}

function numberOf(text: string, width: number): number | undefined {
  if (text.length === 0 || text.length > digitsMax) return undefined;
  for (let at = 0; at < text.length; at += 1) if (!isDigit(text.charCodeAt(at))) return undefined;
  if (width === 0 && text.length > 1 && text.startsWith("0")) return undefined;
  return Number(text);
}

export function readCounter(input: SectionReader, count: number): string[] {
  const prefix = input.text();
  const suffix = input.text();
  const width = input.numbers.varint();
  if (width > digitsMax) throw wireInvalid("a counter is too wide");
  input.spend((prefix.length + suffix.length + digitsMax) * count);
  return Array.from(
    readNumbers(input.numbers, count),
    (number) => prefix + String(number).padStart(width, "0") + suffix,
  );
}
