import type { Clock } from "@fleetmesh/core";

/** How far ahead of the passing time the wall clock may step before it is not believed. */
const stepMsMax = 3_600_000;

/**
 * The time by which stored events grow old. A wall clock that jumps ahead must not empty the store: beyond a step of an hour
 * this clock only goes on as time really passes, until the wall clock agrees again. At a start the newest stored event is what
 * the step is measured from, so that a machine that comes back with a wrong clock does not trim what nobody has received. The
 * price is that a region that was down keeps its events longer by that time, within their bytes, until its next start.
 */
export class RetentionClock {
  readonly #clock: Clock;
  #wallMs: number;
  #monotonicMs: number;

  /** @param newestMs when the newest stored event came, wall clock; undefined when nothing is stored. */
  constructor(clock: Clock, newestMs?: number) {
    this.#clock = clock;
    this.#wallMs = Math.min(clock.wallMs(), (newestMs ?? Infinity) + stepMsMax);
    this.#monotonicMs = clock.monotonicMs();
  }

  nowMs(): number {
    const wallMs = this.#clock.wallMs();
    const monotonicMs = this.#clock.monotonicMs();
    const expectedMs = this.#wallMs + monotonicMs - this.#monotonicMs;
    this.#wallMs = wallMs - expectedMs > stepMsMax ? expectedMs : wallMs;
    this.#monotonicMs = monotonicMs;
    return this.#wallMs;
  }
}

/** When the newest event of all topics was stored; undefined when nothing is stored (a topic that holds nothing has 0). */
export function newestStoredMs(topics: Iterable<{ readonly lastMs: number }>): number | undefined {
  let newestMs = 0;
  for (const { lastMs } of topics) newestMs = Math.max(newestMs, lastMs);
  return newestMs > 0 ? newestMs : undefined;
}
