import { type Chance, Backoff, type BackoffRange } from "@fleetmesh/core";
import type { Refusal } from "./epoch-stream.ts";

export interface RefusedEpoch extends Refusal {
  readonly epoch: string;
  /** Refusals in a row, and since when, monotonic. */
  readonly count: number;
  readonly sinceMs: number;
  readonly retryMs: number;
}

/** The epochs that the region will not serve, and when to ask again: later each time, bounded, never given up. */
export class RefusedEpochs {
  readonly #range: BackoffRange;
  readonly #chance: Chance;
  readonly #refused = new Map<string, { backoff: Backoff; last: RefusedEpoch }>();

  constructor(range: BackoffRange, chance: Chance) {
    this.#range = range;
    this.#chance = chance;
  }

  list(): RefusedEpoch[] {
    return [...this.#refused.values()].map(({ last }) => last);
  }

  retryMs(epoch: string): number {
    return this.#refused.get(epoch)?.last.retryMs ?? -Infinity;
  }

  refuse(epoch: string, refusal: Refusal, nowMs: number): RefusedEpoch {
    const known = this.#refused.get(epoch);
    const backoff = known?.backoff ?? new Backoff(this.#range, this.#chance);
    const retryMs = nowMs + this.#range.initialMs + backoff.next();
    const sinceMs = known?.last.sinceMs ?? nowMs;
    const last = { epoch, ...refusal, count: backoff.failures, sinceMs, retryMs };
    this.#refused.set(epoch, { backoff, last });
    return last;
  }

  /** Forgets all but these. */
  keep(epochs: ReadonlySet<string>): void {
    for (const epoch of this.#refused.keys()) if (!epochs.has(epoch)) this.#refused.delete(epoch);
  }

  /** The region serves it again, or it is gone. */
  forget(epoch: string): void {
    this.#refused.delete(epoch);
  }
}
