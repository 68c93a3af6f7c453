import type { Clock } from "@fleetmesh/core";

/** How far ahead of the passing time the wall clock may step before it is not believed. */
const stepMsMax = 3_600_000;

/**
 * The time by which stored events grow old. A wall clock that jumps ahead while the process runs must not empty the store:
 * beyond a step of an hour this clock only goes on as time really passes, until the wall clock agrees again or a restart.
 */
export class RetentionClock {
  readonly #clock: Clock;
  #wallMs: number;
  #monotonicMs: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#wallMs = clock.wallMs();
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
