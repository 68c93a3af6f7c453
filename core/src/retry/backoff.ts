import type { Chance } from "../port/chance.ts";

export interface BackoffRange {
  /** Bound of the first wait, milliseconds; it doubles with each failure. */
  readonly initialMs: number;
  readonly maxMs: number;
  /** The share of the bound that is always waited, so that an unlucky draw does not hammer; 0 when left out. */
  readonly floor?: number;
}

const doublingsMax = 40;

/**
 * The wait after so many failures (from 1), milliseconds: exponential with full jitter above the floor. After an outage all
 * come back; anything less random comes back in waves.
 */
export function backoffMs(range: BackoffRange, failureCount: number, chance: Chance): number {
  const doublings = Math.min(Math.max(0, failureCount - 1), doublingsMax);
  const boundMs = Math.min(range.maxMs, range.initialMs * 2 ** doublings);
  const floor = range.floor ?? 0;
  return Math.ceil(boundMs * (floor + (1 - floor) * chance.float()));
}

/** Counts the failures of one thing that is tried again and again. */
export class Backoff {
  readonly #range: BackoffRange;
  readonly #chance: Chance;
  #failures = 0;

  constructor(range: BackoffRange, chance: Chance) {
    this.#range = range;
    this.#chance = chance;
  }

  get failures(): number {
    return this.#failures;
  }

  /** The wait after one more failure. */
  next(): number {
    this.#failures += 1;
    return backoffMs(this.#range, this.#failures, this.#chance);
  }

  reset(): void {
    this.#failures = 0;
  }
}
