import { Backoff, MeshError, sleep } from "@fleetmesh/core";
import {
  compareMessageIds,
  type MessageId,
  type PulsarReader,
  type ReceivedMessage,
  type TopicName,
} from "@fleetmesh/pulsar";
import { topicStart } from "./message-place.ts";
import { retryRange, stopping, type StorePorts } from "./store-ports.ts";

export interface FollowerOptions {
  readonly ports: StorePorts;
  readonly topic: TopicName;
  /** The last message that was folded. */
  readonly place: () => MessageId;
  readonly fold: (messages: readonly ReceivedMessage[]) => void;
}

interface Waiter {
  readonly id: MessageId;
  readonly resolve: () => void;
  readonly reject: (error: MeshError) => void;
}

const queueMax = 1_000;

/** Reads one topic once, in order, and folds it. The only one who decides what counts. */
export class TopicFollower {
  readonly #options: FollowerOptions;
  readonly #stopping = new AbortController();
  readonly #waiters = new Set<Waiter>();
  #running: Promise<void> | undefined;

  constructor(options: FollowerOptions) {
    this.#options = options;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    for (const { reject } of this.#waiters) reject(stopping());
    this.#waiters.clear();
    await this.#running;
  }

  /** Resolves when the message is folded; rejects with STOPPING when the store stops before. */
  reach(id: MessageId): Promise<void> {
    if (compareMessageIds(id, this.#options.place()) <= 0) return Promise.resolve();
    return new Promise((resolve, reject) => {
      if (this.#stopping.signal.aborted) throw stopping();
      this.#waiters.add({ id, resolve, reject });
    });
  }

  async #run(): Promise<void> {
    const { ports, topic } = this.#options;
    const backoff = new Backoff(retryRange, ports.chance);
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      try {
        await this.#follow(() => backoff.reset());
      } catch (error) {
        if (this.#isStopping()) return;
        if (!MeshError.is(error) || !error.retryable)
          ports.logger.error({ err: error, topic }, "The topic cannot be read now.");
        await sleep(ports.clock, backoff.next(), signal);
      }
    }
  }

  async #follow(onRead: () => void): Promise<void> {
    const { ports, topic, place, fold } = this.#options;
    const from = place();
    const after = from === topicStart ? "earliest" : from;
    const reader: PulsarReader = await ports.client.reader(topic, { after, queueMax });
    try {
      while (!this.#stopping.signal.aborted) {
        const messages = await reader.next(queueMax, this.#stopping.signal);
        if (messages.length === 0) return;
        // A node that stops has told its state log what it had folded: nothing is folded behind that.
        if (this.#isStopping()) return;
        onRead();
        fold(messages.filter(({ id }) => compareMessageIds(id, place()) > 0));
        this.#wake();
      }
    } finally {
      await reader.close().catch(() => undefined);
    }
  }

  #isStopping(): boolean {
    return this.#stopping.signal.aborted;
  }

  #wake(): void {
    const place = this.#options.place();
    for (const waiter of this.#waiters) {
      if (compareMessageIds(waiter.id, place) > 0) continue;
      this.#waiters.delete(waiter);
      waiter.resolve();
    }
  }
}
