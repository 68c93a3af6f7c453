import { bytesToByteText } from "./byte-text.ts";
import type { DataBytes } from "./data-bytes.ts";
import { digitsMax, isTrimmed, parseDecimal, type Decimal } from "./decimal.ts";
import type { JsonTemplate } from "./json-template.ts";
import { readNumbers, writeNumbers } from "./number-column.ts";
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

const noBytes = new Uint8Array();
const quote = 0x22;

interface Decimals {
  readonly mantissas: Float64Array;
  readonly fractionDigits: Float64Array;
}

export function writeSlot(out: SectionWriter, template: JsonTemplate, slot: number): void {
  const decimals = decimalsOf(template, slot);
  if (decimals === undefined) writeSlotTexts(out, textsOf(template, slot));
  else writeDecimals(out, decimals);
}

/** Undefined when one of them is no plain decimal. */
function decimalsOf(template: JsonTemplate, slot: number): Decimals | undefined {
  const { rows, bounds, slotCount } = template;
  const mantissas = new Float64Array(rows.length);
  const fractionDigits = new Float64Array(rows.length);
  const decimal: Decimal = { mantissa: 0, fractionDigits: 0 };
  for (let row = 0; row < rows.length; row += 1) {
    const at = 2 * (row * slotCount + slot);
    const bytes = rows[row] ?? noBytes;
    if (!parseDecimal(bytes, [bounds[at] ?? 0, bounds[at + 1] ?? 0], decimal)) return undefined;
    mantissas[row] = decimal.mantissa;
    fractionDigits[row] = decimal.fractionDigits;
  }
  return { mantissas, fractionDigits };
}

function textsOf({ rows, bounds, slotCount }: JsonTemplate, slot: number): string[] {
  return rows.map((bytes, row) => {
    const at = 2 * (row * slotCount + slot);
    return bytesToByteText(bytes.subarray(bounds[at], bounds[at + 1]));
  });
}

function writeDecimals(out: SectionWriter, { mantissas, fractionDigits }: Decimals): void {
  const digits = maxOf(fractionDigits);
  if (fractionDigits.every((each) => each === digits)) {
    out.numbers.bits(form.fixed | (digits << 3), 7);
    writeNumbers(out.numbers, mantissas);
    return;
  }
  const scaled = new Float64Array(mantissas.length);
  for (let row = 0; row < scaled.length; row += 1) {
    const mantissa = mantissas[row] ?? 0;
    const own = fractionDigits[row] ?? 0;
    if (!isTrimmed({ mantissa, fractionDigits: own }, digits)) {
      out.numbers.bits(form.varying, 3);
      writeNumbers(out.numbers, fractionDigits);
      writeNumbers(out.numbers, mantissas);
      return;
    }
    scaled[row] = mantissa * 10 ** (digits - own);
  }
  out.numbers.bits(form.trimmed | (digits << 3), 7);
  writeNumbers(out.numbers, scaled);
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
  for (let row = 0; row < values.length; row += 1) most = Math.max(most, values[row] ?? 0);
  return most;
}
