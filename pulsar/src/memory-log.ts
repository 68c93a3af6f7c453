import { compareMessageIds, type MessageId } from "./message-id.ts";
import type { OutgoingMessage, ReceivedMessage } from "./pulsar-client.ts";

export type LedgerNumbers = () => number;

/** What a producer sends, or what another cluster's broker does for it. */
export interface LandingMessage extends OutgoingMessage {
  readonly replicatedFrom?: string | undefined;
}

/** With where it may go, for those who play replication. */
export interface KeptMessage extends ReceivedMessage {
  readonly replicateTo: readonly string[] | undefined;
}

/** One topic in the memory of a broker: its messages in order, in ledgers, entries and batches as a real one numbers them. */
export class MemoryLog {
  readonly #nextLedger: LedgerNumbers;
  readonly #waiters = new Set<() => void>();
  #messages: KeptMessage[] = [];
  /** Accepted from a producer that is gone, on their way to the disks: they lie before whatever is stored next. */
  #late: (readonly OutgoingMessage[])[] = [];
  #ledger = -1;
  #entry = 0;
  #last: MessageId | undefined;
  #compactedThrough: MessageId | undefined;

  constructor(nextLedger: LedgerNumbers) {
    this.#nextLedger = nextLedger;
  }

  get last(): MessageId | undefined {
    return this.#messages.length > 0 ? this.#last : undefined;
  }

  get messages(): readonly KeptMessage[] {
    return this.#messages;
  }

  /** One entry: stored whole. */
  append(batch: readonly LandingMessage[], publishedMs: number): MessageId[] {
    this.land(publishedMs);
    return this.#store(batch, publishedMs);
  }

  delay(batch: readonly OutgoingMessage[]): void {
    this.#late.push(batch);
  }

  /** What was late is stored now. */
  land(publishedMs: number): void {
    for (const batch of this.#late.splice(0)) this.#store(batch, publishedMs);
  }

  /** What follows lies in a new ledger, as after a broker's restart. */
  roll(): void {
    this.#ledger = -1;
  }

  /** Retention: everything up to the message is gone. */
  trimThrough(id: MessageId): void {
    this.#messages = this.#messages.slice(this.indexAfter(id));
  }

  compact(): void {
    this.#compactedThrough = this.#last;
  }

  indexAfter(id: MessageId): number {
    let [low, high] = [0, this.#messages.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      const { id: found } = this.#messages[middle] as ReceivedMessage;
      if (compareMessageIds(found, id) <= 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Of what is compacted, the messages that a compacted read gives: the last of each key, unless it has no payload. */
  isSuperseded(message: ReceivedMessage): boolean {
    const horizon = this.#compactedThrough;
    if (!horizon || message.key === undefined || compareMessageIds(message.id, horizon) > 0)
      return false;
    if (message.payload.length === 0) return true;
    const isLater = (other: ReceivedMessage): boolean =>
      other.key === message.key &&
      compareMessageIds(other.id, message.id) > 0 &&
      compareMessageIds(other.id, horizon) <= 0;
    return this.#messages.some(isLater);
  }

  /** Calls back once, at the next message or when `wake` is called. */
  onceGrown(callback: () => void): () => void {
    this.#waiters.add(callback);
    return () => void this.#waiters.delete(callback);
  }

  wake(): void {
    const waiting = [...this.#waiters];
    this.#waiters.clear();
    for (const callback of waiting) callback();
  }

  #store(batch: readonly LandingMessage[], publishedMs: number): MessageId[] {
    if (this.#ledger < 0) {
      this.#ledger = this.#nextLedger();
      this.#entry = 0;
    }
    const entry = this.#entry++;
    const ids = batch.map((message, at) => {
      const id = { ledger: this.#ledger, entry, batch: batch.length > 1 ? at : -1 };
      const { payload, properties, key, replicateTo } = message;
      // Copies, as the wire makes them: what the sender does with its bytes afterwards changes nothing here.
      const kept = { payload: Uint8Array.from(payload), properties: { ...properties } };
      const { replicatedFrom } = message;
      this.#messages.push({ id, ...kept, key, publishedMs, replicateTo, replicatedFrom });
      this.#last = id;
      return id;
    });
    this.wake();
    return ids;
  }
}
