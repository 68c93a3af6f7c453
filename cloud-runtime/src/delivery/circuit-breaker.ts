import type { Chance, Clock } from "@fleetmesh/core";
import { retryDelayMs } from "./retry-ladder.ts";

export type BreakerState = "closed" | "open" | "probing";

const failuresToOpen = 10;
const probeEvery = { initialMs: 500, maxMs: 30_000 };

/**
 * After many failures in a row the target is taken for dead: one event at a time finds out whether it is back, and the others
 * neither wait for time-outs nor use up their attempts.
 */
export class CircuitBreaker {
  readonly #clock: Clock;
  readonly #chance: Chance;
  #failuresInRow = 0;
  #failedProbes = 0;
  #probeAtMs = 0;
  #state: BreakerState = "closed";

  constructor(clock: Clock, chance: Chance) {
    this.#clock = clock;
    this.#chance = chance;
  }

  get state(): BreakerState {
    return this.#state;
  }

  /** How many may be in flight now. */
  limit(windowMax: number): number {
    if (this.#state === "closed") return windowMax;
    if (this.#state === "open" && this.waitMs === 0) this.#state = "probing";
    return this.#state === "probing" ? 1 : 0;
  }

  get waitMs(): number {
    if (this.#state !== "open") return 0;
    return Math.max(0, this.#probeAtMs - this.#clock.monotonicMs());
  }

  onAnswered(): void {
    this.#state = "closed";
    this.#failuresInRow = 0;
    this.#failedProbes = 0;
  }

  onFailed(): void {
    this.#failuresInRow += 1;
    if (this.#failuresInRow < failuresToOpen) return;
    // Failures of what was in flight when it opened are not probes.
    if (this.#state === "open") return;
    this.#state = "open";
    this.#failedProbes += 1;
    this.#probeAtMs =
      this.#clock.monotonicMs() + retryDelayMs(probeEvery, this.#failedProbes, this.#chance);
  }
}
