import { blockShares } from "./block-topics.ts";
import { rankOfRow } from "./row-id.ts";
import type { TopicCounts } from "./gap-topics.ts";
import type { SqliteConnection, SqliteStatement } from "./sqlite-connection.ts";

/** One topic of one class, as its row in `topic` has it after the last commit. */
export interface TopicRow {
  readonly rank: number;
  readonly name: string;
  /** In the rows of blocks, the confirmed part of the oldest block included. */
  events: number;
  bytes: number;
  /** No event of the topic lies in a row below this one. */
  oldest: number;
  /** Turned into gaps by this buffer, ever. */
  evicted: number;
  expired: number;
}

interface BlockOfTopics {
  readonly id: number;
  readonly bytes: number;
  readonly topics: string;
}

/** Topics beyond are counted as one. */
const topicCountMax = 1_000;
export const otherTopics = "(others)";

/**
 * How much of each topic lies in the buffer: counted where blocks come and go, in the same transactions, so that it is exact
 * after a crash too and nothing has to be read for it.
 */
export class TopicRows {
  readonly #all: SqliteStatement;
  readonly #put: SqliteStatement;
  readonly #delete: SqliteStatement;
  readonly #rows = new Map<number, Map<string, TopicRow>>();
  readonly #dirty = new Set<TopicRow>();

  constructor(db: SqliteConnection) {
    this.#all = db.prepare("SELECT * FROM topic");
    this.#put = db.prepare(
      `INSERT OR REPLACE INTO topic (rank, name, events, bytes, oldest, evicted, expired)
       VALUES (?, ?, ?, ?, ?, ?, ?)`,
    );
    this.#delete = db.prepare("DELETE FROM topic WHERE rank = ? AND name = ?");
    this.load();
  }

  /** Forgets what was changed in memory since the last commit. */
  load(): void {
    this.#rows.clear();
    this.#dirty.clear();
    for (const row of this.#all.all() as TopicRow[]) this.#ofRank(row.rank).set(row.name, row);
  }

  /** Writes what changed; within the transaction that changed what they count. */
  save(): void {
    for (const row of this.#dirty) {
      const { rank, name, events, bytes, oldest, evicted, expired } = row;
      if (events > 0 || evicted > 0 || expired > 0)
        this.#put.run(rank, name, events, bytes, oldest, evicted, expired);
      else {
        this.#delete.run(rank, name);
        this.#ofRank(rank).delete(name);
      }
    }
    this.#dirty.clear();
  }

  of(rank: number): Iterable<TopicRow> {
    return this.#ofRank(rank).values();
  }

  /** The row under which a topic is counted. */
  find(rank: number, name: string): TopicRow | undefined {
    const rows = this.#ofRank(rank);
    return rows.get(name) ?? rows.get(otherTopics);
  }

  inserted({ id, bytes, topics }: BlockOfTopics): void {
    const rank = rankOfRow(id);
    for (const share of blockShares(topics, bytes)) {
      const row = this.#labelled(rank, share.topic);
      if (row.events === 0) row.oldest = id;
      row.events += share.events;
      row.bytes += share.bytes;
      this.#dirty.add(row);
    }
  }

  removed({ id, bytes, topics }: BlockOfTopics): void {
    const rank = rankOfRow(id);
    for (const share of blockShares(topics, bytes)) {
      const row = this.find(rank, share.topic);
      if (!row) continue;
      row.events = Math.max(0, row.events - share.events);
      row.bytes = Math.max(0, row.bytes - share.bytes);
      if (row.oldest === id) row.oldest = id + 1;
      this.#dirty.add(row);
    }
  }

  /** Events of these topics became a gap. */
  lost(rank: number, reason: "evicted" | "expired", topics: TopicCounts): void {
    for (const [topic, count] of Object.entries(topics)) {
      const row = this.#labelled(rank, topic);
      row[reason] += count;
      this.#dirty.add(row);
    }
  }

  /** It was looked for, and no event of the topic lies below this row. */
  passed(row: TopicRow, id: number): void {
    if (row.oldest === id) return;
    row.oldest = id;
    this.#dirty.add(row);
  }

  /** Nothing lies in the buffer, and `lost` says what never will: from here it is counted anew. */
  restart(lost: readonly Pick<TopicRow, "rank" | "name" | "evicted" | "expired">[] = []): void {
    for (const rows of this.#rows.values())
      for (const row of rows.values()) {
        Object.assign(row, { events: 0, bytes: 0, evicted: 0, expired: 0 });
        this.#dirty.add(row);
      }
    this.save();
    for (const { rank, name, evicted, expired } of lost) {
      this.lost(rank, "evicted", { [name]: evicted });
      this.lost(rank, "expired", { [name]: expired });
    }
  }

  /** While others are counted as one, a newcomer is one of them: a topic is counted in one place only at any time. */
  #labelled(rank: number, name: string): TopicRow {
    const rows = this.#ofRank(rank);
    const known = rows.get(name);
    if (known) return known;
    const others = rows.get(otherTopics);
    const isOther = rows.size >= topicCountMax || (others !== undefined && others.events > 0);
    if (isOther && others) return others;
    const label = isOther ? otherTopics : name;
    const row = { rank, name: label, events: 0, bytes: 0, oldest: 0, evicted: 0, expired: 0 };
    rows.set(label, row);
    return row;
  }

  #ofRank(rank: number): Map<string, TopicRow> {
    let rows = this.#rows.get(rank);
    if (!rows) this.#rows.set(rank, (rows = new Map<string, TopicRow>()));
    return rows;
  }
}

/** Counts all that lies in the blocks anew, heads only; within a transaction. */
export function recountTopics(
  db: SqliteConnection,
  lost: readonly Pick<TopicRow, "rank" | "name" | "evicted" | "expired">[] = [],
): void {
  const rows = new TopicRows(db);
  rows.restart(lost);
  const heads = db.prepare("SELECT id, bytes, topics FROM block ORDER BY id");
  for (const head of heads.iterate()) rows.inserted(head as BlockOfTopics);
  rows.save();
}
