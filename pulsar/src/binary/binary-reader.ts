import { MeshError, type Chance, type Clock } from "@fleetmesh/core";
import { formatMessageId, type MessageId } from "../message-id.ts";
import type { PulsarReader, ReaderOptions, ReceivedMessage } from "../pulsar-client.ts";
import { ReadLoop } from "../read-loop.ts";
import type { ConnectionPool } from "./connection-pool.ts";
import { ConsumerSession } from "./consumer-session.ts";
import { batchEnd, EntryQueue } from "./entry-queue.ts";
import type { ReceivedEntry } from "./received-entry.ts";

export interface BinaryReaderOptions {
  readonly pool: ConnectionPool;
  /** In full: persistent://tenant/namespace/topic. */
  readonly topic: string;
  readonly reader: ReaderOptions;
  readonly clock: Clock;
  readonly chance: Chance;
}

/** An entry that arrives damaged so often lies damaged at the broker. */
const damagesMax = 3;

/**
 * Reads with a consumer of which the broker remembers nothing, so the place is ours: after a lost connection a new consumer
 * starts behind the last message that was given out. See PulsarReader for what is promised.
 */
export class BinaryReader implements PulsarReader {
  readonly #options: BinaryReaderOptions;
  readonly #subscription: string;
  readonly #queue = new EntryQueue();
  readonly #loop: ReadLoop;
  #after: ReaderOptions["after"];
  #session: ConsumerSession | undefined;
  #damages = 0;

  /** Errors: PULSAR_UNAVAILABLE, PULSAR_DENIED, TOPIC_UNKNOWN. */
  static async open(options: BinaryReaderOptions): Promise<BinaryReader> {
    const reader = new BinaryReader(options);
    await reader.#loop.start();
    return reader;
  }

  private constructor(options: BinaryReaderOptions) {
    this.#options = options;
    this.#after = options.reader.after;
    this.#subscription = `fleetmesh-reader-${options.chance.hex64()}`;
    const { clock, chance } = options;
    this.#loop = new ReadLoop({
      ...{ clock, chance },
      subscribe: () => this.#subscribe(),
      onLost: () => this.#onLost(),
      take: (countMax) => this.#take(countMax),
    });
  }

  next(countMax: number, signal: AbortSignal): Promise<ReceivedMessage[]> {
    return this.#loop.next(countMax, signal);
  }

  async close(): Promise<void> {
    this.#loop.close();
    await this.#session?.close();
    await this.#loop.ended();
  }

  #take(countMax: number): ReceivedMessage[] {
    const after = typeof this.#after === "string" ? undefined : this.#after;
    try {
      const messages = this.#queue.take(countMax, after);
      const last = messages.at(-1);
      if (last !== undefined) {
        this.#after = last.id;
        this.#damages = 0;
        this.#loop.backoff.reset();
      }
      this.#refill();
      return messages;
    } catch (error) {
      this.#onUnreadable(MeshError.from(error));
      return [];
    }
  }

  #refill(): void {
    const { queueMax } = this.#options.reader;
    const spent = this.#queue.takeSpent(Math.max(1, queueMax / 2));
    if (spent === undefined) return;
    this.#session?.acknowledge(spent.last);
    this.#session?.permit(spent.permits);
  }

  /** What was damaged on the way is asked for again; what lies there unreadable is the caller's to pass over. */
  #onUnreadable(cause: MeshError): void {
    this.#damages += 1;
    if (cause.retryable && this.#damages < damagesMax) {
      void this.#session?.close(cause);
      return;
    }
    const { ledger = -1, entry = -1 } = this.#queue.first ?? {};
    const behind = formatMessageId({ ledger, entry, batch: batchEnd });
    const { topic } = this.#options;
    const text = `Entry ${ledger}.${entry} of ${topic} cannot be read: ${cause.message}`;
    const options = { cause, retryable: false, hint: cause.hint, details: { behind } };
    throw new MeshError("PULSAR_UNAVAILABLE", text, options);
  }

  #onLost(): void {
    this.#session = undefined;
    this.#queue.clear();
  }

  async #subscribe(): Promise<ConsumerSession> {
    const { pool, topic, reader } = this.#options;
    const connection = await pool.forTopic(topic, "read");
    const subscribe = {
      topic,
      subscription: this.#subscription,
      isDurable: false,
      from: this.#after,
      isCompacted: reader.isCompacted === true,
    };
    const onEntry = (entry: ReceivedEntry): void => this.#onEntry(entry);
    const session = await ConsumerSession.open({ connection, subscribe, onEntry });
    try {
      await this.#settle(session);
    } catch (error) {
      await session.close();
      throw error;
    }
    if (this.#loop.isClosing) await session.close();
    this.#session = session;
    session.permit(reader.queueMax);
    return session;
  }

  /** "Latest" means now: after a lost connection it must not mean then. */
  async #settle(session: ConsumerSession): Promise<void> {
    if (this.#after !== "latest") return;
    const last: MessageId | undefined = await session.lastMessageId();
    this.#after = last ?? "earliest";
  }

  #onEntry(entry: ReceivedEntry): void {
    this.#queue.push(entry);
    this.#loop.wake();
  }
}
