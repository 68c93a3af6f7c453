import { eventPrint, printOfGap, tailPrintsMax } from "@fleetmesh/core";
import type { MessageId, ReceivedMessage } from "@fleetmesh/pulsar";
import type { StoredEvent, StoreLedger } from "../event-store.ts";
import { entrySize } from "../shared/entry-size.ts";
import { directIdentity } from "../shared/event-identity.ts";
import type { RetentionOf } from "../shared/retention.ts";
import { DirectIdentities, identityOf } from "./direct-identities.ts";
import { FoldCounters } from "./fold-counters.ts";
import {
  decodeJournal,
  journalTopic,
  type Gap,
  type JournalRecord,
  type RejectedEvent,
} from "./journal.ts";
import { LinkTable } from "./link-table.ts";
import { PlaceList } from "./place-list.ts";
import type { StateRecord } from "./state-message.ts";
import { storedEventOf } from "./stored-message.ts";
import { streamKey, StreamTable } from "./stream-table.ts";
import { TopicState, type Publisher } from "./topic-state.ts";

export interface FoldOptions {
  readonly region: string;
  readonly directWindow: number;
  readonly retention: RetentionOf;
}

const rejectedKeptMax = 1_000;

/**
 * The state of a region's store: what folding its topics and its journal has given. Kept by key in the state log: `s/` streams,
 * `t/ g/ v/` topics with their segments and voids, `d/` direct identities, `l/` links, `r/` places of rejected events, `c` counters.
 * Deterministic: whoever folds the same messages of a topic behind the same state gets the same.
 */
export class FoldState {
  readonly streams = new StreamTable();
  readonly topics = new Map<string, TopicState>();
  readonly links: LinkTable;
  readonly identities: DirectIdentities;
  readonly counters: FoldCounters;
  readonly rejected: PlaceList;
  readonly journal: TopicState;
  readonly #options: FoldOptions;
  readonly #dirty = new Set<string>();

  constructor(options: FoldOptions) {
    const onChanged = (key: string): void => void this.#dirty.add(key);
    this.#options = options;
    this.links = new LinkTable(onChanged);
    this.identities = new DirectIdentities(options.directWindow, (at) => onChanged(`d/${at}`));
    this.rejected = new PlaceList((at) => onChanged(`r/${at}`));
    this.counters = new FoldCounters(() => onChanged("c"));
    this.journal = new TopicState(journalTopic, onChanged);
  }

  topic(name: string): TopicState {
    if (name === journalTopic) return this.journal;
    const topic = this.topics.get(name) ?? new TopicState(name, (key) => this.#dirty.add(key));
    this.topics.set(name, topic);
    return topic;
  }

  /** The event, when the message is one and no repetition. */
  fold(topic: TopicState, message: ReceivedMessage): StoredEvent | undefined {
    const { id, publishedMs } = message;
    topic.pass(id);
    const stored = storedEventOf(message, topic.topic, this.#options.region);
    if (!stored) {
      topic.skipped += 1;
      return undefined;
    }
    const publisher = this.#judge(stored, id);
    if (!publisher) {
      topic.repeat(1);
      topic.voids.add(id);
      return undefined;
    }
    const retention = this.#options.retention(topic.topic);
    topic.add({ id, publishedMs, bytes: entrySize(stored.entry) }, { publisher, retention });
    return stored;
  }

  foldJournal(message: ReceivedMessage): void {
    this.journal.pass(message.id);
    const record = decodeJournal(message);
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
    return { topics, ...this.counters.ledger() };
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
    const [kind = "", name = "", chunk = ""] = key.split("/", 3);
    switch (kind) {
      case "s":
        return this.streams.encode(key);
      case "t":
        return this.topic(name).encode();
      case "g":
        return this.topic(name).segments.encode(Number(chunk));
      case "v":
        return this.topic(name).voids.encode(Number(chunk));
      case "d":
        return this.identities.encode(Number(name));
      case "r":
        return this.rejected.encode(Number(name));
      case "l":
        return this.links.encode(key);
      default:
        return this.counters.encode({
          identities: this.identities.next,
          rejected: this.rejected.next,
        });
    }
  }

  /** What the state log has; `finishRestore` when it has given all. */
  restore({ key, value }: StateRecord): void {
    const [kind, name = "", chunk = ""] = key.split("/", 3);
    if (kind === "g") this.topic(name).segments.restore(Number(chunk), value);
    else if (kind === "v") this.topic(name).voids.restore(Number(chunk), value);
    else if (kind === "d") this.identities.restore(Number(name), value);
    else if (kind === "r") this.rejected.restore(Number(name), value);
    else if (kind === "l") this.links.restore(key, value);
    else if (!value) return;
    else if (kind === "s") this.streams.restore(key, value);
    else if (kind === "t") this.topic(name).restore(value);
    else if (kind === "c") this.counters.restore(value);
  }

  finishRestore(): void {
    for (const topic of [...this.topics.values(), this.journal]) topic.finishRestore();
    this.identities.finishRestore(this.counters.restored.identities);
    this.rejected.finishRestore(this.counters.restored.rejected);
  }

  /** Whom the event counts for; undefined when it repeats one that was folded before. */
  #judge({ topic, origin, entry }: StoredEvent, id: MessageId): Publisher | undefined {
    const { region, agentId, epoch, eventClass, position } = origin;
    if (region !== this.#options.region)
      return this.#judgeReplicated({ region, topic, position }, id);
    if (agentId === undefined || epoch === undefined || eventClass === undefined) {
      const identity = identityOf(directIdentity(topic, entry.event));
      const [key, digest] = identity;
      if (this.identities.digestOf(key) === digest) {
        this.counters.duplicate("direct");
        return undefined;
      }
      this.identities.remember(identity);
      return "direct";
    }
    const key = streamKey({ agentId, epoch, eventClass });
    const { sequence } = entry;
    if (this.#advance(key, "stored", { first: sequence, last: sequence }) === 0) {
      this.counters.duplicate("agents");
      return undefined;
    }
    this.streams.print(key, sequence, eventPrint(entry));
    return "fromAgents";
  }

  /** Without a position it came by the brokers' own replication, which has identities and audit of its own. */
  #judgeReplicated(
    { region, topic, position }: { region: string; topic: string; position: string | undefined },
    id: MessageId,
  ): Publisher | undefined {
    if (position === undefined || this.links.add({ region, topic, position }, id))
      return "replicated";
    this.counters.duplicate("replicated");
    return undefined;
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
}
