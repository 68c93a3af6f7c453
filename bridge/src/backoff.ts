import type { Chance } from "@fleetmesh/core";

const delayMsFirst = 100;
const delayMsMax = 10_000;

/** Waits between attempts: doubled each time, with full jitter, so that many links do not return in step. */
export class Backoff {
  readonly #chance: Chance;
  #failures = 0;

  constructor(chance: Chance) {
    this.#chance = chance;
  }

  get failures(): number {
    return this.#failures;
  }

  next(): number {
    const ceilingMs = Math.min(delayMsMax, delayMsFirst * 2 ** Math.min(this.#failures, 16));
    this.#failures += 1;
    return ceilingMs * (0.2 + 0.8 * this.#chance.float());
  }

  reset(): void {
    this.#failures = 0;
  }
}
