import { eventPrint, printOfGap, tailPrintsMax } from "@fleetmesh/core";
import type { MessageId, ReceivedMessage } from "@fleetmesh/pulsar";
import type { StoredEvent, StoreLedger } from "../event-store.ts";
import { entrySize } from "../shared/entry-size.ts";
import type { RetentionOf } from "../shared/retention.ts";
import { askTopic } from "./audit/audit-message.ts";
import { AuditState } from "./audit/audit-state.ts";
import { DirectIdentities } from "./direct-identities.ts";
import { EventJudge } from "./event-judge.ts";
import { flagged } from "./repaired-event.ts";
import { FoldCounters } from "./fold-counters.ts";
import {
  decodeJournal,
  journalTopic,
  type Gap,
  type JournalRecord,
  type RejectedEvent,
} from "./journal.ts";
import { ForeignSequences } from "./foreign-sequences.ts";
import { LinkTable } from "./link-table.ts";
import { PlaceList } from "./place-list.ts";
import type { StateRecord } from "./state-message.ts";
import { storedEventOf } from "./stored-message.ts";
import { streamKey, StreamTable } from "./stream-table.ts";
import { TopicState } from "./topic-state.ts";

export interface FoldOptions {
  readonly region: string;
  readonly directWindow: number;
  readonly retention: RetentionOf;
}

const rejectedKeptMax = 1_000;
/** Of 1,024 numbers of an agent each; 17 MB of memory when all are there. */
const foreignChunksMax = 65_536;

/**
 * The state of a region's store: what folding its topics and its journal has given. Kept by key in the state log: `s/` streams,
 * `t/ g/ v/ w/` topics with their segments, voids and what came late, `d/` direct identities, `l/` links, `r/` places of rejected events, `c` counters;
 * of other regions' events `f/` agents' sequences, `e/` direct identities; `o/ i/` the audit of what went out and came in, `p/`
 * where consumer groups are.
 * Deterministic: whoever folds the same messages of a topic behind the same state gets the same.
 */
export class FoldState {
  readonly streams = new StreamTable();
  readonly topics = new Map<string, TopicState>();
  readonly links: LinkTable;
  readonly identities: DirectIdentities;
  readonly foreignIdentities: DirectIdentities;
  readonly foreignSequences: ForeignSequences;
  readonly counters: FoldCounters;
  readonly rejected: PlaceList;
  readonly journal: TopicState;
  /** What regions ask each other for. */
  readonly asks: TopicState;
  readonly audit: AuditState;
  readonly #options: FoldOptions;
  readonly #judge: EventJudge;
  readonly #keepers: Readonly<Record<string, Keeper>>;
  readonly #dirty = new Set<string>();

  constructor(options: FoldOptions) {
    const onChanged = (key: string): void => void this.#dirty.add(key);
    this.#options = options;
    this.links = new LinkTable(onChanged);
    const { region, directWindow } = options;
    this.identities = new DirectIdentities(directWindow, (at) => onChanged(`d/${at}`));
    this.foreignIdentities = new DirectIdentities(directWindow, (at) => onChanged(`e/${at}`));
    this.foreignSequences = new ForeignSequences(foreignChunksMax, onChanged);
    this.rejected = new PlaceList((at) => onChanged(`r/${at}`));
    this.counters = new FoldCounters(() => onChanged("c"));
    this.journal = new TopicState(journalTopic, onChanged);
    this.asks = new TopicState(askTopic, onChanged);
    this.audit = new AuditState({ region, onChanged });
    const { streams, identities, foreignIdentities, foreignSequences, links, counters } = this;
    this.#judge = new EventJudge({
      ...{ region, streams, identities, foreignIdentities, foreignSequences, links, counters },
      onStream: onChanged,
    });
    this.#keepers = this.#keepersByKind();
  }

  topic(name: string): TopicState {
    if (name === journalTopic) return this.journal;
    if (name === askTopic) return this.asks;
    const topic = this.topics.get(name) ?? new TopicState(name, (key) => this.#dirty.add(key));
    this.topics.set(name, topic);
    return topic;
  }

  /** The event, when the message is one and no repetition. */
  fold(topic: TopicState, message: ReceivedMessage): StoredEvent | undefined {
    const { id, publishedMs } = message;
    const before = topic.place;
    topic.pass(id);
    const verdict = this.audit.pass({ topic: topic.topic, message, before });
    if (verdict === "note") return undefined;
    const stored = storedEventOf(message, topic.topic, this.#options.region);
    if (!stored) {
      topic.skipped += 1;
      return undefined;
    }
    if (verdict === "own copy") {
      topic.voids.add(id);
      return undefined;
    }
    const isReplicated = message.replicatedFrom !== undefined;
    const publisher = this.#judge.publisherOf({
      ...{ id, stored, isReplicated, isRepeat: verdict === "repeat" },
    });
    if (!publisher) {
      topic.repeat(1);
      topic.voids.add(id);
      return undefined;
    }
    if (verdict === "late") topic.lates.add(id);
    const retention = this.#options.retention(topic.topic);
    topic.add({ id, publishedMs, bytes: entrySize(stored.entry) }, { publisher, retention });
    return verdict === "late" ? flagged(stored) : stored;
  }

  foldJournal(message: ReceivedMessage): void {
    this.journal.pass(message.id);
    // Another region's journal says nothing of ours, should a policy bring it here.
    const isOurs =
      message.replicatedFrom === undefined &&
      message.properties["meshorigin"] === this.#options.region;
    const record = isOurs ? decodeJournal(message) : undefined;
    if (record) this.#record(record, message.id);
    else this.journal.skipped += 1;
  }

  ledger(): StoreLedger {
    const topics: Record<string, StoreLedger["topics"][string]> = {};
    for (const [name, { counts, stored, segments }] of this.topics) {
      if (stored === 0 && counts.duplicates === 0) continue;
      const { trimmed } = segments;
      topics[name] = { ...counts, stored, trimmed, damaged: 0, readable: stored - trimmed };
    }
    const replication = this.audit.ledger();
    return { topics, ...this.counters.ledger(), replication };
  }

  /** What the state log does not have yet; from now on it counts as written. */
  takeChanges(): StateRecord[] {
    const changes = [...this.#dirty].map((key) => ({ key, value: this.valueOf(key) }));
    this.#dirty.clear();
    return changes;
  }

  /** They could not be written after all. */
  putBack(changes: readonly StateRecord[]): void {
    for (const { key } of changes) this.#dirty.add(key);
  }

  valueOf(key: string): Uint8Array | undefined {
    return this.#keeperOf(key)?.valueOf(key);
  }

  /** What the state log has; `finishRestore` when it has given all. */
  restore({ key, value }: StateRecord): void {
    this.#keeperOf(key)?.restore(key, value);
  }

  finishRestore(): void {
    for (const topic of [...this.topics.values(), this.journal, this.asks]) topic.finishRestore();
    this.identities.finishRestore(this.counters.restored.identities);
    this.foreignIdentities.finishRestore(this.counters.restored.foreign);
    this.rejected.finishRestore(this.counters.restored.rejected);
  }

  #record(record: JournalRecord, id: MessageId): void {
    if (record.kind === "cursor") {
      const topic = this.topic(record.move.topic);
      this.links.move(record.move, (place) => topic.has(place));
      return;
    }
    if (record.kind === "gap") this.#passGap(streamKey(record.stream), record.gap);
    else this.#reject(record, id);
  }

  #passGap(key: string, { first, last, reason }: Gap): void {
    const fresh = this.#advance(key, reason, { first, last });
    this.counters.gap(reason, fresh);
    if (fresh === 0) return;
    for (let at = Math.max(first, last - tailPrintsMax + 1); at <= last; at += 1)
      this.streams.print(key, at, printOfGap(reason));
  }

  #reject({ stream, entry }: RejectedEvent, id: MessageId): void {
    const key = streamKey(stream);
    const { sequence } = entry;
    if (this.#advance(key, "rejected", { first: sequence, last: sequence }) === 0) {
      this.counters.duplicate("agents");
      return;
    }
    this.streams.print(key, sequence, eventPrint(entry));
    this.counters.reject();
    this.rejected.add(id);
    this.rejected.keep(rejectedKeptMax);
  }

  #advance(...[key, kind, range]: Parameters<StreamTable["add"]>): number {
    const fresh = this.streams.add(key, kind, range);
    if (fresh > 0) this.#dirty.add(key);
    return fresh;
  }

  /** Undefined for a kind that this version does not know. */
  #keeperOf(key: string): Keeper | undefined {
    return this.#keepers[key.slice(0, 1)];
  }

  #keepersByKind(): Readonly<Record<string, Keeper>> {
    const { streams, links, counters } = this;
    const counts = (): Uint8Array =>
      counters.encode({
        identities: this.identities.next,
        foreign: this.foreignIdentities.next,
        rejected: this.rejected.next,
      });
    return {
      s: keeperOf((key) => streams.encode(key), streams.restore.bind(streams)),
      t: keeperOf(
        (key) => this.topic(partOf(key, 1)).encode(),
        (key, value) => this.topic(partOf(key, 1)).restore(value),
      ),
      g: chunkKeeper((key) => this.topic(partOf(key, 1)).segments, 2),
      v: chunkKeeper((key) => this.topic(partOf(key, 1)).voids, 2),
      w: chunkKeeper((key) => this.topic(partOf(key, 1)).lates, 2),
      d: chunkKeeper(() => this.identities, 1),
      e: chunkKeeper(() => this.foreignIdentities, 1),
      f: keyedKeeper(this.foreignSequences),
      r: chunkKeeper(() => this.rejected, 1),
      l: keyedKeeper(links),
      o: keyedKeeper(this.audit),
      i: keyedKeeper(this.audit),
      p: keyedKeeper(this.audit.groups),
      c: keeperOf(counts, (_, value) => counters.restore(value)),
    };
  }
}

/** How the records of one kind are written and read. */
interface Keeper {
  readonly valueOf: (key: string) => Uint8Array | undefined;
  readonly restore: (key: string, value: Uint8Array | undefined) => void;
}

interface Keyed {
  encode(key: string): Uint8Array | undefined;
  restore(key: string, value: Uint8Array | undefined): void;
}

interface Chunked {
  encode(chunk: number): Uint8Array | undefined;
  restore(chunk: number, value: Uint8Array | undefined): void;
}

function keyedKeeper(part: Keyed): Keeper {
  return {
    valueOf: (key) => part.encode(key),
    restore: (key, value) => part.restore(key, value),
  };
}

/** Of what is never taken away. */
function keeperOf(
  valueOf: Keeper["valueOf"],
  restore: (key: string, value: Uint8Array) => void,
): Keeper {
  return { valueOf, restore: (key, value) => value && restore(key, value) };
}

/** The chunk's number is this part of the key. */
function chunkKeeper(listOf: (key: string) => Chunked, part: number): Keeper {
  const chunkOf = (key: string): number => Number(partOf(key, part));
  return {
    valueOf: (key) => listOf(key).encode(chunkOf(key)),
    restore: (key, value) => listOf(key).restore(chunkOf(key), value),
  };
}

function partOf(key: string, at: number): string {
  return key.split("/", at + 1)[at] ?? "";
}
