import type { Clock } from "@fleetmesh/core";

const linesMax = 4_000;

/** What happened in a schedule, for people: one line a fact, with the simulated time. */
export class Trace {
  readonly #clock: Clock;
  readonly #lines: string[] = [];
  #left = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Facts before the newest few thousand are counted, not kept. */
  note(who: string, what: string): void {
    this.#lines.push(
      `${this.#clock.monotonicMs().toFixed(0).padStart(8)} ms  ${who.padEnd(8)} ${what}`,
    );
    if (this.#lines.length < 2 * linesMax) return;
    this.#left += linesMax;
    this.#lines.splice(0, linesMax);
  }

  /** The newest facts, as many lines as asked for. */
  text(count: number): string {
    const shown = this.#lines.slice(-count);
    const before = this.#left + this.#lines.length - shown.length;
    return [...(before > 0 ? [`… ${before} lines before …`] : []), ...shown].join("\n");
  }
}
