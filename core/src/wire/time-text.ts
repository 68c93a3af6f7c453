/** How a column of times is spelled. */
export interface TimeForm {
  /** Digits behind the second, 0 to 9. */
  readonly digits: number;
  /** `Z`, or `+HH:MM` as it stands. */
  readonly zone: string;
}

/** A time as spelled, its zone left aside: seconds from 0000-01-01T00:00:00 and units of its last digit. */
export interface Instant {
  readonly second: number;
  readonly fraction: number;
}

const grammar = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)$/;
const daySeconds = 86_400;
const yearZeroMs = Date.parse("0000-01-01T00:00:00Z");
const dayMax = (Date.parse("9999-12-31T00:00:00Z") - yearZeroMs) / 1000 / daySeconds;

/** Undefined when the text is not a time of this kind, e.g. with a lower-case t. */
export function timeFormOf(text: string): TimeForm | undefined {
  const match = grammar.exec(text);
  return match === null ? undefined : { digits: match[1]?.length ?? 0, zone: match[2] ?? "Z" };
}

/** Undefined unless `formatInstant` gives exactly this text back. */
export function parseInstant(text: string, form: TimeForm): Instant | undefined {
  const { digits, zone } = form;
  const fractionEnd = digits === 0 ? 19 : 20 + digits;
  if (text.length !== fractionEnd + zone.length || !text.endsWith(zone)) return undefined;
  if (!hasMarks(text, digits)) return undefined;
  const day = dayOf(text.slice(0, 10));
  const seconds = secondsOfDay(text);
  const fraction = numberAt(text, 20, fractionEnd);
  if (day === undefined || seconds === undefined || Number.isNaN(fraction)) return undefined;
  return { second: day * daySeconds + seconds, fraction };
}

function hasMarks(text: string, digits: number): boolean {
  return (
    text[10] === "T" && text[13] === ":" && text[16] === ":" && (digits === 0 || text[19] === ".")
  );
}

/** A leap second is left to the plain column. */
function secondsOfDay(text: string): number | undefined {
  const hour = numberAt(text, 11, 13);
  const minute = numberAt(text, 14, 16);
  const second = numberAt(text, 17, 19);
  // A not-a-number fails every comparison.
  return hour < 24 && minute < 60 && second < 60 ? hour * 3600 + minute * 60 + second : undefined;
}

/** Undefined when the time is not within the years 0000 to 9999. */
export function formatInstant({ second, fraction }: Instant, form: TimeForm): string | undefined {
  const date = dateOf(Math.floor(second / daySeconds));
  if (date === undefined) return undefined;
  const inDay = second % daySeconds;
  const minutes = Math.floor(inDay / 60);
  const clock = `${two(Math.floor(minutes / 60))}:${two(minutes % 60)}:${two(inDay % 60)}`;
  const digits = form.digits === 0 ? "" : `.${String(fraction).padStart(form.digits, "0")}`;
  return `${date}T${clock}${digits}${form.zone}`;
}

/** The number of the digits in [start, end), NaN when there are others; 0 when there are none. */
function numberAt(text: string, start: number, end: number): number {
  let value = 0;
  for (let at = start; at < end; at += 1) {
    const digit = text.charCodeAt(at) - 0x30;
    if (digit < 0 || digit > 9) return NaN;
    value = value * 10 + digit;
  }
  return value;
}

const twoDigits = Array.from({ length: 100 }, (_, number) => String(number).padStart(2, "0"));

function two(number: number): string {
  return twoDigits[number] ?? "";
}

// A batch seldom spans more than two days: the last date asked for is kept in either direction.
let knownDate = "";
let knownDay: number | undefined;

/** Days from 0000-01-01; undefined when there is no such date. */
function dayOf(date: string): number | undefined {
  if (date === knownDate) return knownDay;
  const day = (Date.parse(`${date}T00:00:00Z`) - yearZeroMs) / 1000 / daySeconds;
  if (!(day >= 0 && day <= dayMax) || spell(day) !== date) return undefined;
  knownDate = date;
  knownDay = day;
  return day;
}

function dateOf(day: number): string | undefined {
  if (day === knownDay) return knownDate;
  if (!(day >= 0 && day <= dayMax)) return undefined;
  knownDate = spell(day);
  knownDay = day;
  return knownDate;
}

function spell(day: number): string {
  return new Date(yearZeroMs + day * daySeconds * 1000).toISOString().slice(0, 10);
}
