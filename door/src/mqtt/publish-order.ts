interface Waiting {
  readonly done: (error?: Error) => void;
  outcome: Error | true | undefined;
}

/**
 * Lets the publishes of one connection run together and end in order: a PUBACK leaves after those of all earlier
 * publishes ([MQTT-4.6.0-2]). After the first failure nothing more is let go: the connection is closed.
 */
export class PublishOrder {
  readonly #waiting: Waiting[] = [];
  #hasFailed = false;

  get count(): number {
    return this.#waiting.length;
  }

  add(taking: Promise<void>, done: (error?: Error) => void): void {
    const waiting: Waiting = { done, outcome: undefined };
    this.#waiting.push(waiting);
    const settle = (outcome: Error | true): void => {
      waiting.outcome = outcome;
      if (this.#waiting[0] === waiting) this.#release();
    };
    taking.then(
      () => settle(true),
      (thrown: unknown) => settle(thrown instanceof Error ? thrown : new Error(String(thrown))),
    );
  }

  #release(): void {
    for (;;) {
      const first = this.#waiting[0];
      if (first?.outcome === undefined) return;
      this.#waiting.shift();
      if (this.#hasFailed) continue;
      if (first.outcome === true) {
        first.done();
        continue;
      }
      this.#hasFailed = true;
      first.done(first.outcome);
    }
  }
}
