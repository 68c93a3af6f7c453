/** Producers of one topic in one region at a time. A run's number says in its last digit, to this base, which of them began it. */
export const runShards = 16;

/** What an event is called in every region: the run of a producer at its origin, and its number in it from 1 on. */
export interface EventNumber {
  readonly run: number;
  readonly number: number;
}

/** `<run in base 36>.<number>` */
export function numberText({ run, number }: EventNumber): string {
  return `${run.toString(36)}.${number}`;
}

export function parseNumber(text: string | undefined): EventNumber | undefined {
  if (text === undefined) return undefined;
  const dot = text.indexOf(".");
  const run = Number.parseInt(text.slice(0, Math.max(0, dot)), 36);
  const number = Number(text.slice(dot + 1));
  if (dot < 1 || !Number.isSafeInteger(run) || !Number.isSafeInteger(number)) return undefined;
  return run > 0 && number > 0 ? { run, number } : undefined;
}
