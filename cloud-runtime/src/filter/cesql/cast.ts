import type { Value } from "./value.ts";

const integerMin = -2_147_483_648;
const integerMax = 2_147_483_647;

export function isInteger32(value: number): boolean {
  return Number.isInteger(value) && value >= integerMin && value <= integerMax;
}

/** CESQL 3.7. Undefined: it does not cast. */
export function toInteger(value: Value): number | undefined {
  if (typeof value === "number") return value;
  if (typeof value === "boolean") return value ? 1 : 0;
  return parseInteger(value);
}

export function toBoolean(value: Value): boolean | undefined {
  if (typeof value === "boolean") return value;
  if (typeof value === "number") return value !== 0;
  // Nothing longer can be one of the two, and a long text is not worth another one in lower case.
  if (value.length < 4 || value.length > 5) return undefined;
  const lower = value.toLowerCase();
  return lower === "true" ? true : lower === "false" ? false : undefined;
}

export function toText(value: Value): string {
  return typeof value === "string" ? value : String(value);
}

/** The value as the type that another value has. */
export function toTypeOf(wanted: Value, value: Value): Value | undefined {
  if (typeof wanted === "string") return toText(value);
  return typeof wanted === "number" ? toInteger(value) : toBoolean(value);
}

/** Digits to base 10, perhaps with a sign, within 32 bits; no blanks. */
export function parseInteger(text: string): number | undefined {
  const isNegative = text.startsWith("-");
  const first = isNegative || text.startsWith("+") ? 1 : 0;
  if (first === text.length) return undefined;
  let magnitude = 0;
  for (let index = first; index < text.length; index += 1) {
    const digit = text.charCodeAt(index) - 48;
    if (digit < 0 || digit > 9) return undefined;
    magnitude = magnitude * 10 + digit;
    if (magnitude > -integerMin) return undefined;
  }
  if (magnitude > integerMax && !isNegative) return undefined;
  // Not -0, which has a text of its own.
  return isNegative ? 0 - magnitude : magnitude;
}
