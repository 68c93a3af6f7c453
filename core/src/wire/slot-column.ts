import { bytesToByteText } from "./byte-text.ts";
import { ColumnMemory } from "./column-memory.ts";
import type { DataBytes } from "./data-bytes.ts";
import { digitsMax } from "./decimal.ts";
import type { JsonTemplate } from "./json-template.ts";
import { columnValueMax, readNumbers, writeNumbers } from "./number-column.ts";
import { noDecimal } from "./scalar-table.ts";
import type { SectionReader } from "./section-reader.ts";
import type { SectionWriter } from "./section-writer.ts";
import { readTexts, writeTexts } from "./text-column.ts";
import { wireInvalid } from "./wire-invalid.ts";

/**
 * What stands in one slot of a template, row by row. 3 bits say how:
 *
 *   0 fixed    4 bits digits, a number column: decimals with exactly so many fraction digits
 *   1 trimmed  4 bits digits, a number column: decimals scaled by 10^digits, spelled without zeros at the end of the fraction
 *   2 varying  a number column of fraction digits, a number column of mantissas
 *   3 text     a text column
 *   4 quoted   a text column; each text stands in quotes
 */
const form = { fixed: 0, trimmed: 1, varying: 2, text: 3, quoted: 4 } as const;

const quote = 0x22;
const powersOfTen = Array.from({ length: digitsMax + 1 }, (_, power) => 10 ** power);

interface Decimals {
  readonly mantissas: Float64Array;
  readonly fractionDigits: Float64Array;
}

export function writeSlot(out: SectionWriter, template: JsonTemplate, slot: number): void {
  const decimals = decimalsOf(template, slot);
  if (decimals === undefined) writeSlotTexts(out, textsOf(template, slot));
  else writeDecimals(out, decimals);
}

const mantissaMemory = new ColumnMemory();
const digitMemory = new ColumnMemory();

/** Undefined when one of them is no plain decimal. Good until it is called again. */
function decimalsOf(
  { rows, scalars, slotCount }: JsonTemplate,
  slot: number,
): Decimals | undefined {
  const mantissas = mantissaMemory.of(rows.length);
  const fractionDigits = digitMemory.of(rows.length);
  for (let row = 0, at = slot; row < rows.length; row += 1, at += slotCount) {
    const digits = scalars.fractionDigits[at] as number;
    if (digits === noDecimal) return undefined;
    fractionDigits[row] = digits;
    mantissas[row] = scalars.mantissas[at] as number;
  }
  return { mantissas, fractionDigits };
}

function textsOf({ rows, scalars, slotCount }: JsonTemplate, slot: number): string[] {
  return rows.map((bytes, row) => {
    const at = row * slotCount + slot;
    return bytesToByteText(bytes.subarray(scalars.starts[at], scalars.ends[at]));
  });
}

function writeDecimals(out: SectionWriter, { mantissas, fractionDigits }: Decimals): void {
  const digits = maxOf(fractionDigits);
  if (areAll(fractionDigits, digits)) {
    out.numbers.bits(form.fixed | (digits << 3), 7);
    writeNumbers(out.numbers, mantissas);
  } else if (areTrimmed(mantissas, fractionDigits, digits)) {
    out.numbers.bits(form.trimmed | (digits << 3), 7);
    for (let row = 0; row < mantissas.length; row += 1)
      mantissas[row] = scaled(mantissas[row] as number, digits - (fractionDigits[row] as number));
    writeNumbers(out.numbers, mantissas);
  } else {
    out.numbers.bits(form.varying, 3);
    writeNumbers(out.numbers, fractionDigits);
    writeNumbers(out.numbers, mantissas);
  }
}

function scaled(mantissa: number, power: number): number {
  return mantissa * (powersOfTen[power] ?? 1);
}

/** Whether every spelling is the one without zeros at the end, and fits the scale of its column. */
function areTrimmed(
  mantissas: Float64Array,
  fractionDigits: Float64Array,
  columnDigits: number,
): boolean {
  for (let row = 0; row < mantissas.length; row += 1) {
    const mantissa = mantissas[row] as number;
    const digits = fractionDigits[row] as number;
    if (digits > 0 && mantissa % 10 === 0) return false;
    if (Math.abs(scaled(mantissa, columnDigits - digits)) >= columnValueMax) return false;
  }
  return true;
}

function writeSlotTexts(out: SectionWriter, texts: readonly string[]): void {
  const areQuoted = texts.every(
    (text) => text.length >= 2 && text.startsWith('"') && text.endsWith('"'),
  );
  out.numbers.bits(areQuoted ? form.quoted : form.text, 3);
  writeTexts(out, areQuoted ? texts.map((text) => text.slice(1, -1)) : texts);
}

/** What stands in one slot, row by row. */
export interface SlotRows {
  put(out: DataBytes, row: number): void;
}

/** One slot for `count` rows. */
export function readSlot(input: SectionReader, count: number): SlotRows {
  const kind = input.numbers.bits(3);
  switch (kind) {
    case form.fixed:
      return new FixedRows(input.numbers.bits(4), readNumbers(input.numbers, count));
    case form.trimmed:
      return new TrimmedRows(input.numbers.bits(4), readNumbers(input.numbers, count));
    case form.varying:
      return readVarying(input, count);
    case form.text:
      return new TextRows(readTexts(input, count), false);
    case form.quoted:
      return new TextRows(readTexts(input, count), true);
    default:
      throw wireInvalid(`there is no slot of kind ${kind}`);
  }
}

class FixedRows implements SlotRows {
  readonly #digits: number;
  readonly #mantissas: Float64Array;

  constructor(digits: number, mantissas: Float64Array) {
    this.#digits = digits;
    this.#mantissas = mantissas;
  }

  put(out: DataBytes, row: number): void {
    out.decimal(this.#mantissas[row] ?? 0, this.#digits);
  }
}

class TrimmedRows implements SlotRows {
  readonly #digits: number;
  readonly #mantissas: Float64Array;

  constructor(digits: number, mantissas: Float64Array) {
    this.#digits = digits;
    this.#mantissas = mantissas;
  }

  put(out: DataBytes, row: number): void {
    let mantissa = this.#mantissas[row] ?? 0;
    let digits = this.#digits;
    while (digits > 0 && mantissa % 10 === 0) {
      mantissa /= 10;
      digits -= 1;
    }
    out.decimal(mantissa, digits);
  }
}

class VaryingRows implements SlotRows {
  readonly #fractionDigits: Float64Array;
  readonly #mantissas: Float64Array;

  constructor(fractionDigits: Float64Array, mantissas: Float64Array) {
    this.#fractionDigits = fractionDigits;
    this.#mantissas = mantissas;
  }

  put(out: DataBytes, row: number): void {
    out.decimal(this.#mantissas[row] ?? 0, this.#fractionDigits[row] ?? 0);
  }
}

class TextRows implements SlotRows {
  readonly #texts: readonly string[];
  readonly #areQuoted: boolean;

  constructor(texts: readonly string[], areQuoted: boolean) {
    this.#texts = texts;
    this.#areQuoted = areQuoted;
  }

  put(out: DataBytes, row: number): void {
    if (this.#areQuoted) out.byte(quote);
    out.byteText(this.#texts[row] ?? "");
    if (this.#areQuoted) out.byte(quote);
  }
}

function readVarying(input: SectionReader, count: number): SlotRows {
  const fractionDigits = readNumbers(input.numbers, count);
  const mantissas = readNumbers(input.numbers, count);
  for (const digits of fractionDigits)
    if (digits < 0 || digits > digitsMax) throw wireInvalid("a decimal has too many digits");
  return new VaryingRows(fractionDigits, mantissas);
}

function maxOf(values: Float64Array): number {
  let most = 0;
  for (let row = 0; row < values.length; row += 1) most = Math.max(most, values[row] as number);
  return most;
}

function areAll(values: Float64Array, value: number): boolean {
  for (let row = 0; row < values.length; row += 1) if (values[row] !== value) return false;
  return true;
}
