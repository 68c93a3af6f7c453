import type { SectionReader } from "./section-reader.ts";
import type { SectionWriter } from "./section-writer.ts";
import { wireInvalid } from "./wire-invalid.ts";

/**
 * Texts of one length that differ only in hexadecimal digits: UUIDs, trace ids, hashes. 1 bit upper case, then the
 * pattern as a text in which NUL stands for a digit; then 4 bits for each digit, row by row. A random UUID costs
 * 15.5 bytes, for its version digit is part of the pattern.
 */
const lower = "0123456789abcdef";
const upper = "0123456789ABCDEF";
const patternLengthMax = 200;

/** Undefined when the texts are not of this form. */
export function planHex(values: readonly string[]): ((out: SectionWriter) => void) | undefined {
  const pattern = patternOf(values);
  if (pattern === undefined) return undefined;
  const places = placesOf(pattern);
  const isUpper = caseOf(values, places);
  if (isUpper === undefined) return undefined;
  return (out) => {
    out.numbers.bits(isUpper ? 1 : 0, 1);
    out.text(pattern);
    for (const value of values)
      for (const place of places) out.numbers.bits(digitOf(value.charCodeAt(place)) & 15, 4);
  };
}

/** What all texts share, with NUL where they differ. */
function patternOf(values: readonly string[]): string | undefined {
  const [first = ""] = values;
  if (first.length > patternLengthMax || first.includes("\0")) return undefined;
  const isShared = new Uint8Array(first.length).fill(1);
  for (const value of values) {
    if (value.length !== first.length) return undefined;
    for (let at = 0; at < first.length; at += 1)
      if (value.charCodeAt(at) !== first.charCodeAt(at)) isShared[at] = 0;
  }
  let pattern = "";
  for (let at = 0; at < first.length; at += 1)
    pattern += isShared[at] === 1 ? first.charAt(at) : "\0";
  return pattern;
}

function placesOf(pattern: string): number[] {
  const places: number[] = [];
  for (let at = 0; at < pattern.length; at += 1) if (pattern.charCodeAt(at) === 0) places.push(at);
  return places;
}

const lowerBit = 32;
const upperBit = 16;

/** 0..15, with a mark on letters of either case; -1 when it is no digit. */
function digitOf(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  if (code >= 0x61 && code <= 0x66) return (code - 0x57) | lowerBit;
  if (code >= 0x41 && code <= 0x46) return (code - 0x37) | upperBit;
  return -1;
}

/** Whether the digits are upper case; undefined when they are mixed or no digits. */
function caseOf(values: readonly string[], places: readonly number[]): boolean | undefined {
  let seen = 0;
  for (const value of values)
    for (const place of places) {
      const digit = digitOf(value.charCodeAt(place));
      if (digit < 0) return undefined;
      seen |= digit;
    }
  if ((seen & (lowerBit | upperBit)) === (lowerBit | upperBit)) return undefined;
  return (seen & upperBit) !== 0;
}

export function readHex(input: SectionReader, count: number): string[] {
  const digits = input.numbers.bits(1) === 1 ? upper : lower;
  const pattern = input.text();
  if (pattern.length > patternLengthMax) throw wireInvalid("a pattern of digits is too long");
  const parts = pattern.split("\0");
  input.spend(pattern.length * count);
  const values: string[] = [];
  for (let row = 0; row < count; row += 1) {
    let value = parts[0] ?? "";
    for (let part = 1; part < parts.length; part += 1)
      value += digits.charAt(input.numbers.bits(4)) + (parts[part] ?? "");
    values.push(value);
  }
  return values;
}
