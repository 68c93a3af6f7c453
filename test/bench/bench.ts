/** One number of a bench, beside what was aimed at. */
export interface Figure {
  readonly figure: string;
  /** The median of the runs. */
  readonly value: number;
  readonly unit: string;
  readonly reach: string;
  readonly ok: boolean;
  readonly runs: readonly number[];
}

/** A bench is run alone, in a process of its own or after others. It leaves nothing behind. */
export interface Bench {
  readonly name: string;
  run(): Promise<Figure[]>;
}

export interface Reach {
  readonly figure: string;
  readonly unit: string;
  /** Either bound, or none for a figure that is only printed. */
  readonly atMost?: number;
  readonly atLeast?: number;
}

/** A figure out of its runs: the median counts. */
export function figureOf(
  { figure, unit, atMost, atLeast }: Reach,
  runs: readonly number[],
): Figure {
  const value = median(runs);
  const isLowEnough = atMost === undefined || value <= atMost;
  const isHighEnough = atLeast === undefined || value >= atLeast;
  const bounds = [
    ...(atMost === undefined ? [] : [`≤ ${atMost}`]),
    ...(atLeast === undefined ? [] : [`≥ ${atLeast}`]),
  ];
  return { figure, value, unit, reach: bounds.join(", "), ok: isLowEnough && isHighEnough, runs };
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((one, other) => one - other);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? NaN) + upper) / 2;
}

/** CPU microseconds of this process, user and system, while the work runs: the operating system's accounting. */
export async function cpuMicros(work: () => Promise<void> | void): Promise<number> {
  const before = process.cpuUsage();
  await work();
  const used = process.cpuUsage(before);
  return used.user + used.system;
}
