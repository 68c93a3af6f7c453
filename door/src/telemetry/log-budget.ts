import type { Clock } from "@fleetmesh/core";

const windowMs = 1_000;

/** What strangers can cause must not fill the log: at most this many lines a second, and the next one says how many were left out. */
export class LogBudget {
  readonly #clock: Clock;
  readonly #linesMax: number;
  #untilMs = -Infinity;
  #lines = 0;
  #leftOut = 0;

  constructor(clock: Clock, linesMax = 10) {
    this.#clock = clock;
    this.#linesMax = linesMax;
  }

  /** Calls back when a line may be written, with the number left out since the last. */
  spend(write: (leftOut: number) => void): void {
    const nowMs = this.#clock.monotonicMs();
    if (nowMs >= this.#untilMs) {
      this.#untilMs = nowMs + windowMs;
      this.#lines = 0;
    }
    if (this.#lines >= this.#linesMax) {
      this.#leftOut += 1;
      return;
    }
    this.#lines += 1;
    const leftOut = this.#leftOut;
    this.#leftOut = 0;
    write(leftOut);
  }
}
