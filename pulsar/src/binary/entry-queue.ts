import { compareMessageIds, type MessageId } from "../message-id.ts";
import type { ReceivedMessage } from "../pulsar-client.ts";
import { decodeEntry, type DecodedEntry, type ReceivedEntry } from "./received-entry.ts";

/** The place behind every message of an entry, however large its batch. */
export const batchEnd = 999_999_999;

const shrinkAt = 256;

interface OpenEntry extends DecodedEntry {
  readonly entry: ReceivedEntry;
  next: number;
}

/** Entries of which nothing is left. */
export interface SpentEntries {
  readonly last: MessageId;
  /** As the broker counts them. */
  readonly permits: number;
}

/** Entries as they came, decoded one at a time when their messages are taken: what waits costs its bytes and no more. */
export class EntryQueue {
  #entries: ReceivedEntry[] = [];
  #head = 0;
  #open: OpenEntry | undefined;
  #spent: SpentEntries | undefined;

  push(entry: ReceivedEntry): void {
    this.#entries.push(entry);
  }

  clear(): void {
    this.#entries = [];
    this.#head = 0;
    this.#open = undefined;
    this.#spent = undefined;
  }

  /** The next entry that is not decoded yet: the one of which `take` complains. */
  get first(): ReceivedEntry | undefined {
    return this.#entries[this.#head];
  }

  /** Up to so many messages behind the place. Throws as `decodeEntry` does when the very first entry cannot be read. */
  take(countMax: number, after: MessageId | undefined): ReceivedMessage[] {
    const taken: ReceivedMessage[] = [];
    while (taken.length < countMax) {
      const open = (this.#open ??= this.#decodeNext(after, taken.length > 0));
      if (open === undefined) break;
      const message = open.messages[open.next];
      open.next += 1;
      if (message !== undefined && isBehind(message.id, after)) taken.push(message);
      if (open.next >= open.messages.length) this.#spend(open);
    }
    return taken;
  }

  /** What was used up since the last time, once it is worth so many permits. */
  takeSpent(permitsMin: number): SpentEntries | undefined {
    const spent = this.#spent;
    if (spent === undefined || spent.permits < permitsMin) return undefined;
    this.#spent = undefined;
    return spent;
  }

  #decodeNext(after: MessageId | undefined, hasOthers: boolean): OpenEntry | undefined {
    const entry = this.first;
    if (entry === undefined) return undefined;
    const isPassed = after !== undefined && isBefore(entry, after);
    try {
      const decoded = isPassed ? { permits: 1, messages: [] } : decodeEntry(entry);
      this.#shift();
      return { ...decoded, entry, next: 0 };
    } catch (error) {
      // Those before it are given out first.
      if (hasOthers) return undefined;
      throw error;
    }
  }

  #spend({ entry: { ledger, entry }, permits }: OpenEntry): void {
    const before = this.#spent?.permits ?? 0;
    this.#spent = { last: { ledger, entry, batch: -1 }, permits: before + permits };
    this.#open = undefined;
  }

  #shift(): void {
    this.#head += 1;
    if (this.#head < shrinkAt || this.#head * 2 < this.#entries.length) return;
    this.#entries = this.#entries.slice(this.#head);
    this.#head = 0;
  }
}

const isBehind = (id: MessageId, after: MessageId | undefined): boolean =>
  after === undefined || compareMessageIds(id, after) > 0;

/** All of the entry lies before the place. It need not be readable. */
const isBefore = ({ ledger, entry }: ReceivedEntry, after: MessageId): boolean =>
  compareMessageIds({ ledger, entry, batch: batchEnd }, after) <= 0;
