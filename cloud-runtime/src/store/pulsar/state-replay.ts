import type { ReceivedMessage } from "@fleetmesh/pulsar";
import type { LiveWrites } from "./live-writes.ts";
import {
  decodeRecords,
  messageKey,
  partOf,
  type StatePart,
  type StateRecord,
} from "./state-message.ts";

interface Incomplete {
  readonly first: StatePart;
  readonly records: StateRecord[];
  readonly messageKeys: string[];
}

/**
 * Reads the state log from its beginning: a write counts when all of its parts are there in a row, and when no later session
 * had begun before it. The rest is dead.
 */
export class StateReplay {
  readonly #live: LiveWrites;
  readonly #apply: (record: StateRecord) => void;
  #incomplete: Incomplete | undefined;
  #session = 0;
  #first: StatePart | undefined;

  constructor(live: LiveWrites, apply: (record: StateRecord) => void) {
    this.#live = live;
    this.#apply = apply;
  }

  /** The number of the newest session that the log knows. */
  get session(): number {
    return this.#session;
  }

  /** The oldest part of a write that the log gave. */
  get first(): StatePart | undefined {
    return this.#first;
  }

  take(message: ReceivedMessage): void {
    const part = partOf(message);
    if (!part) return;
    this.#first ??= part;
    if (part.session < this.#session) {
      this.#live.addDead([messageKey(part)]);
      return;
    }
    this.#session = part.session;
    if (part.index === 0) this.#begin(part);
    const incomplete = this.#incomplete;
    if (!incomplete || !follows(incomplete, part)) {
      this.#live.addDead([messageKey(part)]);
      return;
    }
    incomplete.records.push(...decodeRecords(message.payload));
    incomplete.messageKeys.push(messageKey(part));
    if (incomplete.messageKeys.length === part.count) this.#complete(incomplete);
  }

  finish(): void {
    if (this.#incomplete) this.#live.addDead(this.#incomplete.messageKeys);
    this.#incomplete = undefined;
  }

  #begin(first: StatePart): void {
    this.finish();
    this.#incomplete = { first, records: [], messageKeys: [] };
  }

  #complete({ records, messageKeys }: Incomplete): void {
    this.#incomplete = undefined;
    const deleted = new Set<string>();
    for (const record of records) {
      if (record.value === undefined) deleted.add(record.key);
      this.#apply(record);
    }
    const keys = records.map(({ key }) => key);
    this.#live.add(messageKeys, keys, deleted);
  }
}

function follows({ first, messageKeys }: Incomplete, part: StatePart): boolean {
  const isSameWrite = part.session === first.session && part.write === first.write;
  return isSameWrite && part.count === first.count && part.index === messageKeys.length;
}
