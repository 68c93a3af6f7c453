import type { Clock, Logger, Part, Timer } from "@fleetmesh/core";
import type { EventStore, StoreLedger } from "../store/event-store.ts";

interface Sample {
  readonly atMs: number;
  readonly topics: ReadonlyMap<string, number>;
}

const sampleEveryMs = 2_000;
const sampleCountMax = 6;

/** Events stored a second by topic over the last ten seconds, for people: sampled from the ledger, off the event path. */
export class RateBoard implements Part {
  readonly name = "rate-board";
  readonly #store: EventStore;
  readonly #clock: Clock;
  readonly #logger: Logger;
  #samples: Sample[] = [];
  #timer: Timer | undefined;
  #sampling: Promise<void> = Promise.resolve();
  #isStopped = false;

  constructor(store: EventStore, ports: { readonly clock: Clock; readonly logger: Logger }) {
    this.#store = store;
    this.#clock = ports.clock;
    this.#logger = ports.logger;
  }

  async start(): Promise<void> {
    this.#isStopped = false;
    await this.#sample();
    this.#plan();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#timer?.cancel();
    await this.#sampling;
  }

  perSecond(): Record<string, number> {
    const [first] = this.#samples;
    const last = this.#samples.at(-1);
    if (first === undefined || last === undefined || last.atMs <= first.atMs) return {};
    const seconds = (last.atMs - first.atMs) / 1_000;
    const rates: Record<string, number> = {};
    for (const [topic, stored] of last.topics) {
      rates[topic] = Math.round(((stored - (first.topics.get(topic) ?? 0)) / seconds) * 10) / 10;
    }
    return rates;
  }

  #plan(): void {
    if (this.#isStopped) return;
    this.#timer = this.#clock.setTimer(sampleEveryMs, () => {
      this.#sampling = this.#sample().then(() => this.#plan());
    });
  }

  async #sample(): Promise<void> {
    try {
      const topics = storedByTopic(await this.#store.ledger());
      this.#samples = [...this.#samples, { atMs: this.#clock.monotonicMs(), topics }];
      this.#samples = this.#samples.slice(-sampleCountMax);
    } catch (error) {
      this.#logger.debug({ err: error }, "The rates could not be sampled.");
    }
  }
}

function storedByTopic({ topics }: StoreLedger): Map<string, number> {
  return new Map(Object.entries(topics).map(([topic, { stored }]) => [topic, stored]));
}
