import { Backoff, MeshError, sleep, type Chance, type Clock } from "@fleetmesh/core";
import { reconnect } from "./reconnect.ts";

export interface RoundsOptions {
  readonly clock: Clock;
  readonly chance: Chance;
  readonly periodMs: number;
  /** Told at the first failure of a row, and when a round has succeeded after one. */
  readonly onFailing: (error: MeshError) => void;
  readonly onRecovered?: () => void;
}

/** Does the same again and again: at once when woken, sooner than the period after a failure, and never twice at a time. */
export class Rounds {
  readonly #options: RoundsOptions;
  readonly #round: (signal: AbortSignal) => Promise<void>;
  readonly #stopping = new AbortController();
  #waking = new AbortController();
  #running: Promise<void> | undefined;

  constructor(options: RoundsOptions, round: (signal: AbortSignal) => Promise<void>) {
    this.#options = options;
    this.#round = round;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  /** A round begins at once, or as soon as the one under way has ended. */
  wake(): void {
    this.#waking.abort();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { clock, chance, periodMs, onFailing, onRecovered } = this.#options;
    const { signal } = this.#stopping;
    const backoff = new Backoff(reconnect, chance);
    while (!signal.aborted) {
      // From here on: what wakes during a round is looked at in the next.
      this.#waking = new AbortController();
      let waitMs = periodMs;
      try {
        await this.#round(signal);
        if (backoff.failures > 0) onRecovered?.();
        backoff.reset();
      } catch (thrown) {
        if (this.#isStopping()) return;
        if (backoff.failures === 0) onFailing(MeshError.from(thrown));
        waitMs = Math.min(periodMs, backoff.next());
      }
      await sleep(clock, waitMs, AbortSignal.any([signal, this.#waking.signal]));
    }
  }

  #isStopping(): boolean {
    return this.#stopping.signal.aborted;
  }
}
