import type { Clock, Timer } from "@fleetmesh/core";

/** One machine's clock: time passes as everywhere, but its wall clock shows and jumps as it likes. */
export class OwnWallClock implements Clock {
  readonly #shared: Clock;
  #wallOffsetMs: number;

  constructor(shared: Clock) {
    this.#shared = shared;
    this.#wallOffsetMs = shared.wallMs() - shared.monotonicMs();
  }

  wallMs(): number {
    return this.#wallOffsetMs + this.#shared.monotonicMs();
  }

  monotonicMs(): number {
    return this.#shared.monotonicMs();
  }

  setTimer(delayMs: number, callback: () => void): Timer {
    return this.#shared.setTimer(delayMs, callback);
  }

  jump(byMs: number): void {
    this.#wallOffsetMs += byMs;
  }
}
