import { fromByteText, toByteText } from "./byte-text.ts";
import { numbersOf } from "./column-memory.ts";
import { readNumbers, writeNumbers } from "./number-column.ts";
import type { SectionReader } from "./section-reader.ts";
import type { SectionWriter } from "./section-writer.ts";
import { readTexts, writeTexts } from "./text-column.ts";
import { wireInvalid } from "./wire-invalid.ts";

/**
 * A column of texts that may be absent: 2 bits presence (0 none, 1 all, 2 some: then a number column of 0 and 1), then a
 * text column of those that are there, as UTF-8.
 */
const presence = { none: 0, all: 1, some: 2 } as const;

export function writeAttribute(out: SectionWriter, values: readonly (string | undefined)[]): void {
  const present = toByteTexts(values);
  if (present.length === 0) {
    out.numbers.bits(presence.none, 2);
    return;
  }
  out.numbers.bits(present.length === values.length ? presence.all : presence.some, 2);
  if (present.length < values.length)
    writeNumbers(
      out.numbers,
      numbersOf(values, (value) => (value === undefined ? 0 : 1)),
    );
  writeTexts(out, present);
}

export function readAttribute(input: SectionReader, count: number): (string | undefined)[] {
  const kind = input.numbers.bits(2);
  if (kind === presence.none) return new Array<undefined>(count).fill(undefined);
  if (kind === presence.all) return fromByteTexts(readTexts(input, count));
  if (kind !== presence.some) throw wireInvalid("a column is neither there nor absent");
  const isThere = readNumbers(input.numbers, count);
  const texts = fromByteTexts(readTexts(input, isThere.reduce(countOnes, 0)));
  let next = 0;
  return Array.from(isThere, (one) => (one === 1 ? texts[next++] : undefined));
}

/** An attribute that every event has. */
export function readRequired(input: SectionReader, count: number): string[] {
  return readAttribute(input, count).map((value) => {
    if (value === undefined) throw wireInvalid("an event lacks an attribute that all have");
    return value;
  });
}

function countOnes(sum: number, one: number): number {
  return one === 1 ? sum + 1 : sum;
}

/** Those that are there. Neighbours are often equal: then the work is done once. */
function toByteTexts(values: readonly (string | undefined)[]): string[] {
  const bytes: string[] = [];
  let last: string | undefined;
  let lastBytes = "";
  for (const value of values) {
    if (value === undefined) continue;
    if (value !== last) lastBytes = toByteText(value);
    last = value;
    bytes.push(lastBytes);
  }
  return bytes;
}

function fromByteTexts(values: readonly string[]): string[] {
  let last: string | undefined;
  let lastText = "";
  return values.map((value) => {
    if (value !== last) lastText = fromByteText(value);
    last = value;
    return lastText;
  });
}
