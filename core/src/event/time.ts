const grammar =
  /^(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:[Zz]|([+-])(\d\d):(\d\d))$/;
const monthDays = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
const minuteMs = 60_000;
const dayMs = 86_400_000;

/**
 * Milliseconds since 1970 of an RFC 3339 timestamp, digits below the millisecond cut off; undefined when the text is not
 * one: a real date, with an offset. A leap second (23:59:60 UTC) counts as the first instant of the next minute.
 */
export function parseTimestampMs(text: string): number | undefined {
  const parts = grammar.exec(text);
  if (parts === null) return undefined;
  const [year, month, day, hour, minute, second] = parts.slice(1, 7).map(Number) as Six;
  const offset = offsetMinutes(parts[8], Number(parts[9] ?? 0), Number(parts[10] ?? 0));
  if (offset === undefined || !isDate(year, month, day)) return undefined;
  if (hour > 23 || minute > 59 || second > 60) return undefined;
  const fractionMs = Number((parts[7] ?? "").slice(0, 3).padEnd(3, "0"));
  const minutes = hour * 60 + minute - offset;
  if (second === 60 && modulo(minutes, 1440) !== 1439) return undefined;
  return dayNumber(year, month, day) * dayMs + minutes * minuteMs + second * 1000 + fractionMs;
}

type Six = [number, number, number, number, number, number];

function offsetMinutes(sign: string | undefined, hours: number, minutes: number) {
  if (hours > 23 || minutes > 59) return undefined;
  const size = hours * 60 + minutes;
  return sign === "-" ? -size : size;
}

function isDate(year: number, month: number, day: number): boolean {
  const days = month === 2 && isLeap(year) ? 29 : monthDays[month - 1];
  return days !== undefined && day >= 1 && day <= days;
}

function isLeap(year: number): boolean {
  return (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0;
}

/** Days since 1970-01-01. Date.UTC cannot be asked directly: it takes the years 0 to 99 for 1900 to 1999. */
function dayNumber(year: number, month: number, day: number): number {
  const isShifted = year < 100;
  const ms = Date.UTC(isShifted ? year + 400 : year, month - 1, day);
  return ms / dayMs - (isShifted ? daysPer400Years : 0);
}

const daysPer400Years = 146_097;

function modulo(value: number, by: number): number {
  return ((value % by) + by) % by;
}
