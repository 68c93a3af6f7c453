import { columnValueMax, readNumbers, writeNumbers } from "./number-column.ts";
import type { SectionReader } from "./section-reader.ts";
import type { SectionWriter } from "./section-writer.ts";

/** When the doors took the events, milliseconds: 1 bit 0 and a number column, or 1 and 64 bits IEEE 754 each, low byte first. */
export function writeReceived(out: SectionWriter, values: Float64Array): void {
  const areWhole = values.every(
    (value) => Number.isInteger(value) && Math.abs(value) < columnValueMax && !Object.is(value, -0),
  );
  out.numbers.bits(areWhole ? 0 : 1, 1);
  if (areWhole) writeNumbers(out.numbers, values);
  else for (const byte of littleEndian(values)) out.numbers.bits(byte, 8);
}

function littleEndian(values: Float64Array): Uint8Array {
  const view = new DataView(new ArrayBuffer(8 * values.length));
  values.forEach((value, row) => view.setFloat64(8 * row, value, true));
  return new Uint8Array(view.buffer);
}

export function readReceived(input: SectionReader, count: number): Float64Array {
  if (input.numbers.bits(1) === 0) return readNumbers(input.numbers, count);
  const view = new DataView(new ArrayBuffer(8));
  return new Float64Array(count).map(() => {
    for (let at = 0; at < 8; at += 1) view.setUint8(at, input.numbers.bits(8));
    return view.getFloat64(0, true);
  });
}
