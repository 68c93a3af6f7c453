import type { AttributeValue, Extension } from "../event/event.ts";
import { noExtensions } from "../event/event.ts";
import { fromByteText, toByteText } from "./byte-text.ts";
import { numbersOf } from "./column-memory.ts";
import { readNumbers, writeNumbers } from "./number-column.ts";
import type { SectionReader } from "./section-reader.ts";
import type { SectionWriter } from "./section-writer.ts";
import { readTexts, writeTexts } from "./text-column.ts";
import { wireInvalid } from "./wire-invalid.ts";

/**
 * Extensions by shape (names and kinds of values, in order): varint number of shapes, and for each varint n, then
 * n × (name as a text, 2 bits kind: 0 text, 1 integer, 2 truth value); a number column: which shape each event has;
 * then shape by shape and name by name a text column, or a number column (a truth value is 0 or 1).
 */
type ValueKind = 0 | 1 | 2;

interface Shape {
  readonly names: readonly string[];
  readonly kinds: readonly ValueKind[];
  readonly columns: readonly AttributeValue[][];
}

export function writeExtensions(out: SectionWriter, rows: readonly (readonly Extension[])[]): void {
  const shapes: Shape[] = [];
  const byKey = new Map<string, number>();
  let last = 0;
  const numbers = numbersOf(rows, (extensions) => {
    if (!hasShape(shapes[last], extensions)) last = shapeOf(extensions, shapes, byKey);
    // Most events have none.
    if (extensions.length > 0)
      extensions.forEach(([, value], at) => shapes[last]?.columns[at]?.push(value));
    return last;
  });
  out.numbers.varint(shapes.length);
  for (const { names, kinds } of shapes) {
    out.numbers.varint(names.length);
    names.forEach((name, at) => {
      out.text(toByteText(name));
      out.numbers.bits(kinds[at] ?? 0, 2);
    });
  }
  writeNumbers(out.numbers, numbers);
  for (const { kinds, columns } of shapes)
    columns.forEach((column, at) => writeColumn(out, column, kinds[at] ?? 0));
}

function kindOf(value: AttributeValue): ValueKind {
  if (typeof value === "string") return 0;
  return typeof value === "number" ? 1 : 2;
}

function hasShape(shape: Shape | undefined, extensions: readonly Extension[]): boolean {
  if (shape?.names.length !== extensions.length) return false;
  if (extensions.length === 0) return true;
  return extensions.every(
    ([name, value], at) => shape.names[at] === name && shape.kinds[at] === kindOf(value),
  );
}

function shapeOf(
  extensions: readonly Extension[],
  shapes: Shape[],
  byKey: Map<string, number>,
): number {
  const key = JSON.stringify(extensions.map(([name, value]) => [name, kindOf(value)]));
  const known = byKey.get(key);
  if (known !== undefined) return known;
  shapes.push({
    names: extensions.map(([name]) => name),
    kinds: extensions.map(([, value]) => kindOf(value)),
    columns: extensions.map(() => []),
  });
  byKey.set(key, shapes.length - 1);
  return shapes.length - 1;
}

function writeColumn(out: SectionWriter, column: readonly AttributeValue[], kind: ValueKind): void {
  if (kind === 0)
    writeTexts(
      out,
      column.map((value) => toByteText(String(value))),
    );
  else writeNumbers(out.numbers, numbersOf(column, Number));
}

export function readExtensions(input: SectionReader, count: number): (readonly Extension[])[] {
  const shapeCount = input.numbers.varint();
  if (shapeCount > count) throw wireInvalid("there are more shapes of extensions than events");
  const shapes = Array.from({ length: shapeCount }, () => readShape(input));
  const numbers = readNumbers(input.numbers, count);
  const rowCounts = new Array<number>(shapeCount).fill(0);
  for (const number of numbers) {
    const known = rowCounts[number];
    if (known === undefined) throw wireInvalid(`there is no shape ${number} of extensions`);
    rowCounts[number] = known + 1;
  }
  const columns = shapes.map((shape, at) => readShapeColumns(input, shape, rowCounts[at] ?? 0));
  const next = shapes.map(() => 0);
  return Array.from(numbers, (number) => {
    const row = next[number] ?? 0;
    next[number] = row + 1;
    return columns[number]?.[row] ?? noExtensions;
  });
}

type NamedKinds = readonly (readonly [name: string, kind: number])[];

function readShape(input: SectionReader): NamedKinds {
  const shape: (readonly [string, number])[] = [];
  for (let left = input.numbers.varint(); left > 0; left -= 1)
    shape.push([fromByteText(input.text()), input.numbers.bits(2)]);
  return shape;
}

function readShapeColumns(
  input: SectionReader,
  shape: NamedKinds,
  count: number,
): (readonly Extension[])[] {
  if (shape.length === 0) return new Array<readonly Extension[]>(count).fill(noExtensions);
  const rows = Array.from({ length: count }, (): Extension[] => []);
  for (const [name, kind] of shape) {
    input.spend(extensionBytes * count);
    readColumn(input, kind, count).forEach((value, row) => rows[row]?.push([name, value]));
  }
  return rows;
}

/** About what a name and a value take at the least. */
const extensionBytes = 2;

function readColumn(input: SectionReader, kind: number, count: number): AttributeValue[] {
  if (kind === 0) return readTexts(input, count).map(fromByteText);
  const numbers = readNumbers(input.numbers, count);
  if (kind === 1) return Array.from(numbers, asInteger);
  if (kind === 2) return Array.from(numbers, (number) => number !== 0);
  throw wireInvalid("there is no such kind of extension");
}

function asInteger(number: number): number {
  if ((number | 0) !== number) throw wireInvalid("an extension is no 32-bit integer");
  return number;
}
