import { numbersOf } from "./column-memory.ts";
import { planCounter, readCounter } from "./counter-column.ts";
import { planHex, readHex } from "./hex-column.ts";
import { readNumbers, writeNumbers } from "./number-column.ts";
import type { SectionReader } from "./section-reader.ts";
import type { SectionWriter } from "./section-writer.ts";
import { planTime, readTime } from "./time-column.ts";
import { wireInvalid } from "./wire-invalid.ts";

/**
 * A column of byte texts. 3 bits say how:
 *
 *   0 constant    one text
 *   1 dictionary  varint n, n texts, then a number column: which of them
 *   2 plain       a number column of lengths; the texts themselves one behind the other
 *   3 hex         see hex-column.ts     4 counter  see counter-column.ts     5 time  see time-column.ts
 */
const mode = { constant: 0, dictionary: 1, plain: 2, hex: 3, counter: 4, time: 5 } as const;

export function writeTexts(out: SectionWriter, values: readonly string[]): void {
  const [first = ""] = values;
  if (isConstant(values, first)) {
    out.numbers.bits(mode.constant, 3);
    if (values.length > 0) out.text(first);
    return;
  }
  const dictionary = dictionaryOf(values);
  if (dictionary !== undefined && dictionary.size * 3 <= values.length)
    writeDictionary(out, values, dictionary);
  else if (!writePlanned(out, values)) writePlain(out, values);
}

function isConstant(values: readonly string[], first: string): boolean {
  for (const value of values) if (value !== first) return false;
  return true;
}

/** Distinct texts with their numbers; undefined as soon as it is clear that a dictionary does not pay. */
function dictionaryOf(values: readonly string[]): Map<string, number> | undefined {
  const numbers = new Map<string, number>();
  const sizeMax = values.length / 3;
  for (const value of values) {
    if (numbers.has(value)) continue;
    if (numbers.size >= sizeMax) return undefined;
    numbers.set(value, numbers.size);
  }
  return numbers;
}

function writeDictionary(
  out: SectionWriter,
  values: readonly string[],
  numbers: ReadonlyMap<string, number>,
): void {
  out.numbers.bits(mode.dictionary, 3);
  out.numbers.varint(numbers.size);
  for (const value of numbers.keys()) out.text(value);
  writeNumbers(
    out.numbers,
    numbersOf(values, (value) => numbers.get(value) ?? 0),
  );
}

/** The forms that texts of machines have; each plan is made only when every row fits it exactly. */
function writePlanned(out: SectionWriter, values: readonly string[]): boolean {
  const time = planTime(values);
  if (time !== undefined) {
    out.numbers.bits(mode.time, 3);
    time(out);
    return true;
  }
  const counter = planCounter(values);
  if (counter !== undefined) {
    out.numbers.bits(mode.counter, 3);
    counter(out);
    return true;
  }
  const hex = planHex(values);
  if (hex === undefined) return false;
  out.numbers.bits(mode.hex, 3);
  hex(out);
  return true;
}

function writePlain(out: SectionWriter, values: readonly string[]): void {
  out.numbers.bits(mode.plain, 3);
  writeNumbers(
    out.numbers,
    numbersOf(values, (value) => value.length),
  );
  for (const value of values) out.textOfKnownLength(value);
}

/** Reads `count` texts and spends what they unfold to. */
export function readTexts(input: SectionReader, count: number): string[] {
  const kind = input.numbers.bits(3);
  if (count === 0) {
    if (kind !== mode.constant) throw wireInvalid("an empty column is not constant");
    return [];
  }
  switch (kind) {
    case mode.constant: {
      const value = input.text();
      input.spend(value.length * count);
      return new Array<string>(count).fill(value);
    }
    case mode.dictionary:
      return readDictionary(input, count);
    case mode.plain:
      return readPlain(input, count);
    case mode.hex:
      return readHex(input, count);
    case mode.counter:
      return readCounter(input, count);
    case mode.time:
      return readTime(input, count);
    default:
      throw wireInvalid(`there is no text column of kind ${kind}`);
  }
}

function readDictionary(input: SectionReader, count: number): string[] {
  const size = input.numbers.varint();
  if (size > count) throw wireInvalid("a dictionary is larger than its column");
  const known = Array.from({ length: size }, () => input.text());
  return Array.from(readNumbers(input.numbers, count), (number) => {
    const value = known[number];
    if (value === undefined) throw wireInvalid("a row is not in its dictionary");
    input.spend(value.length);
    return value;
  });
}

function readPlain(input: SectionReader, count: number): string[] {
  return Array.from(readNumbers(input.numbers, count), (length) => {
    if (length < 0) throw wireInvalid("a text has a negative length");
    input.spend(length);
    return input.textOfKnownLength(length);
  });
}
