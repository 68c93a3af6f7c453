import { MeshError } from "@fleetmesh/core";
import type { MemoryBroker } from "./memory-broker.ts";
import { compareMessageIds, type MessageId } from "./message-id.ts";
import type { PulsarReader, ReaderOptions, ReceivedMessage, TopicName } from "./pulsar-client.ts";

const beforeAll: MessageId = { ledger: -1, entry: -1, batch: -1 };

/** A pass over a topic of the memory broker. */
export class MemoryReader implements PulsarReader {
  readonly #broker: MemoryBroker;
  readonly #topic: TopicName;
  readonly #isCompacted: boolean;
  readonly #countMax: number;
  #after: MessageId;
  #isClosed = false;

  constructor(broker: MemoryBroker, topic: TopicName, options: ReaderOptions) {
    this.#broker = broker;
    this.#topic = topic;
    this.#isCompacted = options.isCompacted === true;
    this.#countMax = options.queueMax;
    const { after } = options;
    const last = broker.logOf(topic).last ?? beforeAll;
    this.#after = after === "earliest" ? beforeAll : after === "latest" ? last : after;
  }

  async next(countMax: number, signal: AbortSignal): Promise<ReceivedMessage[]> {
    await this.#broker.step();
    while (!signal.aborted) {
      if (this.#isClosed) throw new MeshError("STOPPING", "The reader is closed");
      const found = this.#broker.isDown ? [] : this.#take(countMax);
      if (found.length > 0) return found;
      await this.#grown(signal);
    }
    return [];
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#broker.logs.get(this.#topic)?.wake();
    return Promise.resolve();
  }

  #take(countMax: number): ReceivedMessage[] {
    const log = this.#broker.logOf(this.#topic);
    const bound = Math.min(countMax, this.#countMax);
    // A real broker gives what has come, not always as much as was asked for.
    const count = Math.max(1, Math.ceil(bound * this.#broker.options.chance.float()));
    const found: ReceivedMessage[] = [];
    let at = log.indexAfter(this.#after);
    for (; at < log.messages.length && found.length < count; at += 1) {
      const message = log.messages[at] as ReceivedMessage;
      if (this.#isCompacted && log.isSuperseded(message)) continue;
      found.push(message);
      if (compareMessageIds(message.id, this.#after) > 0) this.#after = message.id;
    }
    return found;
  }

  #grown(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        forget?.();
        signal.removeEventListener("abort", done);
        resolve();
      };
      const forget = this.#broker.logs.get(this.#topic)?.onceGrown(done);
      signal.addEventListener("abort", done, { once: true });
    });
  }
}
