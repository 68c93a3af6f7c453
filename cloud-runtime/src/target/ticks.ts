import type { Clock, Timer } from "@fleetmesh/core";

export interface TicksOptions {
  readonly clock: Clock;
  readonly periodMs: number;
  /** A tick has passed; whether more are needed. */
  readonly onTick: () => boolean;
}

/**
 * Time in periods, counted while somebody needs it: deadlines by the thousand for the price of one timer. A period is never
 * shorter than it says. What has to last n periods lasts n + 1 ticks, since the one that runs has begun already.
 */
export class Ticks {
  /** How many have passed. */
  count = 0;
  readonly #options: TicksOptions;
  #timer: Timer | undefined;

  constructor(options: TicksOptions) {
    this.#options = options;
  }

  /** The tick at which a delay that begins now is over for certain. */
  after(delayMs: number): number {
    return this.count + Math.max(1, Math.ceil(delayMs / this.#options.periodMs)) + 1;
  }

  /** Counts on, until `onTick` says that it is enough. */
  run(): void {
    this.#timer ??= this.#options.clock.setTimer(this.#options.periodMs, this.#tick);
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  readonly #tick = (): void => {
    this.#timer = undefined;
    this.count += 1;
    if (this.#options.onTick()) this.run();
  };
}
