import { readNumbers, writeNumbers } from "./number-column.ts";
import type { SectionReader } from "./section-reader.ts";
import type { SectionWriter } from "./section-writer.ts";
import {
  formatInstant,
  parseInstant,
  timeFormOf,
  type Instant,
  type TimeForm,
} from "./time-text.ts";
import { columnValueMax } from "./number-column.ts";
import { wireInvalid } from "./wire-invalid.ts";

/**
 * RFC 3339 times of one spelling, `YYYY-MM-DDTHH:MM:SS[.digits]ZONE`: 4 bits how many digits of a second, the zone as a
 * text of 1 (`Z`) or 6 (`+HH:MM`) bytes, the first time as varints (seconds from the year 0 as spelled, units of the
 * last digit), then a number column of what each row is later than the first, in units of the last digit.
 */
/** Undefined when the texts are not of this form. */
export function planTime(values: readonly string[]): ((out: SectionWriter) => void) | undefined {
  const form = timeFormOf(values[0] ?? "");
  if (form === undefined) return undefined;
  const first = parseInstant(values[0] ?? "", form);
  if (first === undefined) return undefined;
  const later = new Float64Array(values.length);
  for (let row = 0; row < values.length; row += 1) {
    const instant = parseInstant(values[row] ?? "", form);
    if (instant === undefined) return undefined;
    const units =
      (instant.second - first.second) * 10 ** form.digits + instant.fraction - first.fraction;
    if (Math.abs(units) >= columnValueMax) return undefined;
    later[row] = units;
  }
  return (out) => {
    out.numbers.bits(form.digits, 4);
    out.text(form.zone);
    out.numbers.varint(first.second);
    out.numbers.varint(first.fraction);
    writeNumbers(out.numbers, later);
  };
}

export function readTime(input: SectionReader, count: number): string[] {
  const digits = input.numbers.bits(4);
  const zone = input.text();
  if (digits > 9 || (zone.length !== 1 && zone.length !== 6))
    throw wireInvalid("a time has no such spelling");
  const form: TimeForm = { digits, zone };
  const first: Instant = { second: input.numbers.varint(), fraction: input.numbers.varint() };
  const unitsPerSecond = 10 ** digits;
  if (first.fraction >= unitsPerSecond) throw wireInvalid("a fraction is more than a second");
  input.spend((20 + digits + zone.length) * count);
  return Array.from(readNumbers(input.numbers, count), (later) => {
    const units = first.fraction + later;
    const seconds = Math.floor(units / unitsPerSecond);
    const text = formatInstant(
      { second: first.second + seconds, fraction: units - seconds * unitsPerSecond },
      form,
    );
    if (text === undefined) throw wireInvalid("a time is beyond the year 9999");
    return text;
  });
}
