import { sleep } from "@fleetmesh/core";
import {
  compareMessageIds,
  type MessageId,
  type PulsarReader,
  type ReceivedMessage,
  type TopicName,
} from "@fleetmesh/pulsar";
import { topicStart } from "./message-place.ts";
import { stopping, unavailable, type StorePorts } from "./store-ports.ts";

interface Place {
  readonly topic: TopicName;
  readonly reader: PulsarReader;
  /** Read from the broker and not used yet. */
  readonly waiting: ReceivedMessage[];
  /** The last message that was used: the next reader of this place goes on here. */
  at: MessageId;
}

export interface Scan {
  readonly topic: TopicName;
  readonly after: MessageId;
  /** The last message to be visited; one of the topic. */
  readonly until: MessageId;
}

/** False ends the scan before the message. */
export type Visit = (message: ReceivedMessage) => boolean;

const queueMax = 500;
const waitMsMax = 10_000;

/**
 * Readers for who is further behind than the tail: one per place, kept for the next page, a bounded number at a time. Who finds
 * all in use waits for a turn.
 */
export class CatchUp {
  readonly #ports: StorePorts;
  readonly #countMax: number;
  readonly #idle: Place[] = [];
  readonly #turns: (() => void)[] = [];
  readonly #stopping = new AbortController();
  #activeCount = 0;

  constructor(ports: StorePorts, countMax: number) {
    this.#ports = ports;
    this.#countMax = countMax;
  }

  /** Visits the messages behind `after`, in order, up to `until`. Throws STORE_UNAVAILABLE when none comes for long. */
  async scan(scan: Scan, visit: Visit): Promise<void> {
    await this.#turn();
    try {
      const place = await this.#placeAt(scan);
      try {
        await this.#visitAll(place, scan, visit);
        this.#idle.push(place);
      } catch (error) {
        await place.reader.close().catch(() => undefined);
        throw error;
      }
    } finally {
      this.#activeCount -= 1;
      this.#turns.shift()?.();
    }
  }

  /** Lets go of the readers of a topic that is to be deleted. */
  leave(topic: TopicName): void {
    for (const place of this.#idle.filter((each) => each.topic === topic)) {
      this.#idle.splice(this.#idle.indexOf(place), 1);
      place.reader.close().catch(() => undefined);
    }
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    for (const wake of this.#turns.splice(0)) wake();
    const closing = this.#idle.splice(0).map(({ reader }) => reader.close());
    await Promise.allSettled(closing);
  }

  async #turn(): Promise<void> {
    while (this.#activeCount >= this.#countMax && !this.#stopping.signal.aborted)
      await new Promise<void>((resolve) => this.#turns.push(resolve));
    this.#assertRunning();
    this.#activeCount += 1;
  }

  async #placeAt({ topic, after }: Scan): Promise<Place> {
    const at = this.#idle.findIndex(
      (place) => place.topic === topic && compareMessageIds(place.at, after) === 0,
    );
    const [found] = at < 0 ? [] : this.#idle.splice(at, 1);
    if (found) return found;
    while (this.#idle.length > 0 && this.#idle.length + this.#activeCount > this.#countMax)
      await this.#idle
        .shift()
        ?.reader.close()
        .catch(() => undefined);
    const from = compareMessageIds(after, topicStart) <= 0 ? "earliest" : after;
    const reader = await this.#ports.client.reader(topic, { after: from, queueMax });
    return { topic, reader, waiting: [], at: after };
  }

  async #visitAll(place: Place, { after, until }: Scan, visit: Visit): Promise<void> {
    for (;;) {
      if (place.waiting.length === 0) place.waiting.push(...(await this.#next(place)));
      const [message] = place.waiting;
      if (!message || compareMessageIds(message.id, until) > 0) return;
      if (compareMessageIds(message.id, after) > 0 && !visit(message)) return;
      place.waiting.shift();
      place.at = message.id;
      if (compareMessageIds(message.id, until) === 0) return;
    }
  }

  async #next({ reader, topic }: Place): Promise<ReceivedMessage[]> {
    this.#assertRunning();
    const patience = new AbortController();
    const { signal } = patience;
    const giveUp = (): void => patience.abort();
    this.#stopping.signal.addEventListener("abort", giveUp, { once: true });
    void sleep(this.#ports.clock, waitMsMax, signal).then(giveUp);
    try {
      const messages = await reader.next(queueMax, signal);
      this.#assertRunning();
      if (messages.length === 0) throw unavailable(`${topic} cannot be read at the moment`);
      return messages;
    } finally {
      patience.abort();
      this.#stopping.signal.removeEventListener("abort", giveUp);
    }
  }

  #assertRunning(): void {
    if (this.#stopping.signal.aborted) throw stopping();
  }
}
