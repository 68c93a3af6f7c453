const monthDays = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
const minuteMs = 60_000;
const dayMs = 86_400_000;
const daysPer400Years = 146_097;
const wrong = Number.NaN;

/**
 * Milliseconds since 1970 of an RFC 3339 timestamp, digits below the millisecond cut off; undefined when the text is not
 * one: a real date, with an offset. A leap second (23:59:60 UTC) counts as the first instant of the next minute.
 * Read by hand: every event at every door has a time, and a regular expression took a tenth of the whole decoding.
 */
export function parseTimestampMs(text: string): number | undefined {
  const day = dayOf(text);
  const second = twoDigits(text, 17);
  const fractionEnd = endOfFraction(text);
  const minute = minuteOf(text, 11) + punctuation(text, 16, ":") - offsetMinutes(text, fractionEnd);
  if (second > 60 || (second === 60 && modulo(minute, 1440) !== 1439)) return undefined;
  const ms = day * dayMs + minute * minuteMs + second * 1000 + fractionMs(text, fractionEnd);
  return Number.isNaN(ms) ? undefined : ms;
}

/** Days since 1970 of `YYYY-MM-DDT` at the start; NaN when it is no date. */
function dayOf(text: string): number {
  const year = twoDigits(text, 0) * 100 + twoDigits(text, 2);
  const month = twoDigits(text, 5);
  const day = twoDigits(text, 8);
  const separators = punctuation(text, 4, "-") + punctuation(text, 7, "-");
  const isMarked = text[10] === "T" || text[10] === "t";
  const days = month === 2 && isLeap(year) ? 29 : (monthDays[month - 1] ?? wrong);
  if (!isMarked || !(day >= 1 && day <= days)) return wrong;
  // Date.UTC takes the years 0 to 99 for 1900 to 1999; the calendar repeats every 400 years.
  if (year >= 100) return Date.UTC(year, month - 1, day) / dayMs + separators;
  return Date.UTC(year + 400, month - 1, day) / dayMs - daysPer400Years + separators;
}

function isLeap(year: number): boolean {
  return (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0;
}

/** Minutes of `HH:MM`; NaN when it is not one. */
function minuteOf(text: string, at: number): number {
  const hour = twoDigits(text, at);
  const minute = twoDigits(text, at + 3);
  if (hour > 23 || minute > 59) return wrong;
  return hour * 60 + minute + punctuation(text, at + 2, ":");
}

/** Where the offset starts: behind the seconds, or behind `.` and at least one digit. */
function endOfFraction(text: string): number {
  if (text[19] !== ".") return 19;
  let at = 20;
  while (digit(text, at) >= 0) at += 1;
  return at;
}

function fractionMs(text: string, end: number): number {
  if (end === 19) return 0;
  if (end === 20) return wrong;
  const hundreds = digit(text, 20) * 100;
  const tens = end > 21 ? digit(text, 21) * 10 : 0;
  return hundreds + tens + (end > 22 ? digit(text, 22) : 0);
}

function offsetMinutes(text: string, at: number): number {
  const sign = text[at];
  if (sign === "Z" || sign === "z") return text.length === at + 1 ? 0 : wrong;
  if (text.length !== at + 6 || (sign !== "+" && sign !== "-")) return wrong;
  const size = minuteOf(text, at + 1);
  return sign === "-" ? -size : size;
}

function twoDigits(text: string, at: number): number {
  return digit(text, at) * 10 + digit(text, at + 1);
}

/** NaN when there is none, which makes all that is reckoned with it NaN. */
function digit(text: string, at: number): number {
  const value = text.charCodeAt(at) - 0x30;
  return value >= 0 && value <= 9 ? value : wrong;
}

/** 0 when the mark is there. */
function punctuation(text: string, at: number, mark: string): number {
  return text[at] === mark ? 0 : wrong;
}

function modulo(value: number, by: number): number {
  return ((value % by) + by) % by;
}
