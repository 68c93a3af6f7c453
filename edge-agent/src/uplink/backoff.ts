import type { Chance } from "@fleetmesh/core";
import type { BackoffRange } from "./uplink-limits.ts";

/**
 * Full jitter: a uniform wait between nothing and a bound that doubles. After an outage of the region a whole fleet comes
 * back; anything less random comes back in waves.
 */
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

  /** The wait after one more failure, milliseconds. */
  next(): number {
    const bound = Math.min(this.#range.maxMs, this.#range.initialMs * 2 ** this.#failures);
    this.#failures = Math.min(this.#failures + 1, 40);
    return Math.ceil(bound * this.#chance.float());
  }

  reset(): void {
    this.#failures = 0;
  }
}
