import { Fifo } from "./fifo.ts";

/** Lets so many reads run at once; the others wait their turn. A restart with thousands of subscriptions stays gentle. */
export class ReadTurns {
  readonly #countMax: number;
  readonly #waiting = new Fifo<() => void>();
  #running = 0;

  constructor(countMax: number) {
    this.#countMax = countMax;
  }

  async run<Result>(read: () => Promise<Result>): Promise<Result> {
    if (this.#running >= this.#countMax)
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#running += 1;
    try {
      return await read();
    } finally {
      const next = this.#waiting.take();
      // The turn is handed on, so the count stays.
      if (next) next();
      else this.#running -= 1;
    }
  }
}
