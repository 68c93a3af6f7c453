import type { Clock } from "@fleetmesh/core";

/** A wall clock before this was never set: the product did not exist then. */
export const plausibleSinceMs = Date.UTC(2025, 0, 1);

/**
 * The region's time as known here. Carried forward on the monotonic clock, so that a jump of the local wall clock changes
 * nothing. Monotonic time stands still while a machine sleeps: the estimate is then late, which only expires events later,
 * until the next answer to a hello sets it right.
 */
export class CloudTime {
  readonly #clock: Clock;
  /** Cloud time minus monotonic time. */
  #offsetMs: number | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** From the answer to a hello: the region read its clock about half a round trip ago. */
  measure(cloudMs: number, roundTripMs: number): void {
    this.#offsetMs = cloudMs + roundTripMs / 2 - this.#clock.monotonicMs();
  }

  /** From any other acknowledgement: the region's time is at least this. */
  atLeast(cloudMs: number): void {
    const offsetMs = cloudMs - this.#clock.monotonicMs();
    if (this.#offsetMs !== undefined && offsetMs > this.#offsetMs) this.#offsetMs = offsetMs;
  }

  /** Milliseconds since 1970 by the region's clock; by ours until it has spoken; undefined when ours was never set either. */
  nowMs(): number | undefined {
    if (this.#offsetMs !== undefined) return this.#offsetMs + this.#clock.monotonicMs();
    const wallMs = this.#clock.wallMs();
    return wallMs >= plausibleSinceMs ? wallMs : undefined;
  }

  /** How far our wall clock is ahead of the region's; undefined before the region has spoken. */
  skewMs(): number | undefined {
    if (this.#offsetMs === undefined) return undefined;
    return this.#clock.wallMs() - (this.#offsetMs + this.#clock.monotonicMs());
  }
}
