import { BlockReader, classOfRank, type EventClass } from "@fleetmesh/core/base";
import { blockCounts, blockShares } from "./block-topics.ts";
import type { BlockHead, BlockRows } from "./block-rows.ts";
import type { BufferTopics, LostTopic, QueuedTopic } from "./buffer.ts";
import type { ClassState } from "./class-state.ts";
import { rowId } from "./row-id.ts";
import type { TopicRow, TopicRows } from "./topic-rows.ts";

/** Rows looked at for one topic's oldest event in one go; where it stopped it goes on at the next question. */
const headsMax = 64;

interface Tables {
  readonly blocks: BlockRows;
  readonly topics: TopicRows;
}

/** What waits and what was lost, by topic: from the counters, without what the region has confirmed of rows that are still there. */
export function topicBacklog(states: readonly ClassState[], tables: Tables): BufferTopics {
  const queued: QueuedTopic[] = [];
  const lost: LostTopic[] = [];
  for (const { rank, confirmed } of states) {
    const eventClass = classOfRank(rank);
    if (eventClass === undefined) continue;
    queued.push(...new ClassBacklog(tables, rank, confirmed.sequence).all(eventClass));
    lost.push(...lostTopics(eventClass, tables.topics.of(rank)));
  }
  return { queued, lost };
}

function* lostTopics(eventClass: EventClass, rows: Iterable<TopicRow>): Generator<LostTopic> {
  for (const { name: topic, evicted, expired } of rows) {
    if (evicted > 0) yield { eventClass, topic, reason: "evicted", count: evicted };
    if (expired > 0) yield { eventClass, topic, reason: "expired", count: expired };
  }
}

interface Confirmed {
  events: number;
  bytes: number;
}

class ClassBacklog {
  readonly #tables: Tables;
  readonly #rank: number;
  readonly #sequence: number;
  /** Parts of rows that the region has, by the row under which they are counted. */
  readonly #confirmed = new Map<TopicRow, Confirmed>();
  /** What waits in the block that the watermark lies in. */
  #boundary: { readonly id: number; readonly waiting: ReadonlySet<string> } | undefined;

  constructor(tables: Tables, rank: number, sequence: number) {
    this.#tables = tables;
    this.#rank = rank;
    this.#sequence = sequence;
    for (const head of tables.blocks.upTo(rank, sequence, -1)) this.#subtract(head);
  }

  *all(eventClass: EventClass): Generator<QueuedTopic> {
    for (const row of this.#tables.topics.of(this.#rank)) {
      const confirmed = this.#confirmed.get(row);
      const events = row.events - (confirmed?.events ?? 0);
      const bytes = row.bytes - (confirmed?.bytes ?? 0);
      if (events <= 0) continue;
      yield { eventClass, topic: row.name, events, bytes, oldestMs: this.#oldestMs(row) };
    }
  }

  #subtract(head: BlockHead): void {
    const first = head.id - rowId(this.#rank, 0);
    const count = this.#sequence - first + 1;
    if (count >= head.count) {
      for (const { topic, events, bytes } of blockShares(head.topics, head.bytes))
        this.#add(topic, { events, bytes });
    } else this.#subtractPart(head, count);
  }

  /** The bytes of a block that waits in part are all still there. */
  #subtractPart(head: BlockHead, count: number): void {
    const waiting = new Map(Object.entries(blockCounts(head.topics)));
    for (const row of this.#tables.blocks.from(this.#rank, this.#sequence)) {
      if (row.id !== head.id) break;
      const reader = new BlockReader(row.body);
      for (let index = 0; index < count; index += 1) {
        const { topic } = reader.entry(index);
        waiting.set(topic, (waiting.get(topic) ?? 0) - 1);
        this.#add(topic, { events: 1, bytes: 0 });
      }
      break;
    }
    const names = [...waiting].filter(([, left]) => left > 0).map(([topic]) => topic);
    this.#boundary = { id: head.id, waiting: new Set(names) };
  }

  #add(topic: string, { events, bytes }: Confirmed): void {
    const row = this.#tables.topics.find(this.#rank, topic);
    if (!row) return;
    const sum = this.#confirmed.get(row) ?? { events: 0, bytes: 0 };
    this.#confirmed.set(row, { events: sum.events + events, bytes: sum.bytes + bytes });
  }

  /** As exact as a commit's events are of one time. Behind many rows without the topic it is too early, and comes nearer each time. */
  #oldestMs(row: TopicRow): number | undefined {
    const low = Math.max(row.oldest, this.#boundary?.id ?? rowId(this.#rank, this.#sequence + 1));
    let oldestMs: number | undefined;
    for (const head of this.#heads(low)) {
      oldestMs = head.received_min;
      this.#tables.topics.passed(row, head.id);
      if (this.#holds(head, row)) break;
    }
    return oldestMs;
  }

  /** The first is the right one as a rule. */
  *#heads(low: number): Generator<BlockHead> {
    const { blocks } = this.#tables;
    const [head] = blocks.headsFrom(this.#rank, low, 1);
    if (head === undefined) return;
    yield head;
    yield* blocks.headsFrom(this.#rank, head.id + 1, headsMax);
  }

  #holds(head: BlockHead, row: TopicRow): boolean {
    const { topics } = this.#tables;
    const names =
      this.#boundary?.id === head.id
        ? this.#boundary.waiting
        : Object.keys(blockCounts(head.topics));
    for (const name of names) if (topics.find(this.#rank, name) === row) return true;
    return false;
  }
}
