import { characterCount, characters, trimmed } from "./characters.ts";
import type { FaultKind, Value } from "./value.ts";

/** A function's error, with the value that it has all the same. */
export class Refusal<Result extends Value> {
  readonly value: Result;
  readonly kind: FaultKind;
  readonly what: string;

  constructor(value: Result, what: string, kind: FaultKind = "functionEvaluation") {
    this.value = value;
    this.what = what;
    this.kind = kind;
  }
}

/** Parameters of all functions are texts, then integers: what an argument is cast to follows from its place. */
interface Parameters {
  readonly texts: number;
  /** Any number of texts after those. */
  readonly moreTexts?: boolean;
  /** How many integers there may be. */
  readonly integers: readonly number[];
}

type Apply<Result extends Value> = (
  texts: readonly string[],
  integers: readonly number[],
) => Result | Refusal<Result>;

export type CesqlFunction =
  | (Parameters & { readonly returns: "text"; readonly apply: Apply<string> })
  | (Parameters & { readonly returns: "integer"; readonly apply: Apply<number> });

/** Longer texts cannot come from an event; CONCAT could make them without end. */
const textLengthMax = 262_144;

const ofText = (apply: (text: string) => string): CesqlFunction => ({
  texts: 1,
  integers: [0],
  returns: "text",
  apply: ([text = ""]) => apply(text),
});

/** CESQL 3.5, but for the casting functions. */
export const functions: ReadonlyMap<string, CesqlFunction> = new Map<string, CesqlFunction>([
  [
    "ABS",
    {
      texts: 0,
      integers: [1],
      returns: "integer",
      apply: (_, [value = 0]) =>
        value === -2_147_483_648
          ? new Refusal(2_147_483_647, "ABS of -2147483648 is no 32-bit integer", "math")
          : Math.abs(value),
    },
  ],
  [
    "LENGTH",
    { texts: 1, integers: [0], returns: "integer", apply: ([text = ""]) => characterCount(text) },
  ],
  ["CONCAT", { ...manyTexts(0), apply: (texts) => joined(texts, "") }],
  [
    "CONCAT_WS",
    { ...manyTexts(1), apply: ([delimiter = "", ...texts]) => joined(texts, delimiter) },
  ],
  ["LOWER", ofText((text) => text.toLowerCase())],
  ["UPPER", ofText((text) => text.toUpperCase())],
  ["TRIM", ofText(trimmed)],
  ["LEFT", part(([text = ""], [count = 0]) => characters(text, 0, count))],
  [
    "RIGHT",
    part(([text = ""], [count = 0]) => {
      const length = characterCount(text);
      return characters(text, Math.max(0, length - count), length);
    }),
  ],
  ["SUBSTRING", { texts: 1, integers: [1, 2], returns: "text", apply: substring }],
]);

export function takes(parameters: Parameters, argumentCount: number): boolean {
  const { texts, moreTexts, integers } = parameters;
  if (moreTexts === true) return argumentCount >= texts;
  return integers.includes(argumentCount - texts);
}

export function takesText({ texts, moreTexts, integers }: Parameters): string {
  if (moreTexts === true)
    return texts === 0 ? "any number of arguments" : `${texts} or more arguments`;
  const counts = integers.map((count) => count + texts).join(" or ");
  return counts === "1" ? "1 argument" : `${counts} arguments`;
}

function manyTexts(texts: number): Parameters & { readonly returns: "text" } {
  return { texts, moreTexts: true, integers: [0], returns: "text" };
}

function joined(texts: readonly string[], delimiter: string): string | Refusal<string> {
  let length = delimiter.length * Math.max(0, texts.length - 1);
  for (const text of texts) length += text.length;
  if (length <= textLengthMax) return texts.join(delimiter);
  return new Refusal("", `the text becomes longer than ${textLengthMax} characters`);
}

function part(apply: Apply<string>): CesqlFunction {
  return {
    texts: 1,
    integers: [1],
    returns: "text",
    apply: (texts, integers) =>
      (integers[0] ?? 0) >= 0
        ? apply(texts, integers)
        : new Refusal(texts[0] ?? "", "a number of characters cannot be negative"),
  };
}

function substring(
  [text = ""]: readonly string[],
  [position = 0, count]: readonly number[],
): string | Refusal<string> {
  if (count !== undefined && count < 0)
    return new Refusal("", "a number of characters cannot be negative");
  if (position === 0) return "";
  const length = characterCount(text);
  if (Math.abs(position) > length)
    return new Refusal("", `the text has no character ${position}, only ${length}`);
  const from = position > 0 ? position - 1 : length + position;
  return characters(text, from, count === undefined ? length : Math.min(length, from + count));
}
