import { isDamage, type SqlDatabase } from "./sql-database.ts";
import type { PackedBlock, TopicRow } from "./store-op.ts";

export type SourceCount = "fromAgents" | "direct" | "replicated";

export interface TopicState {
  readonly id: number;
  readonly name: string;
  stored: number;
  trimmed: number;
  bytes: number;
  lastMs: number;
  fromAgents: number;
  direct: number;
  replicated: number;
  damaged: number;
  duplicates: number;
}

/** What a row weighs beside its body, about: retention by bytes bounds the file, not only the events. */
const rowOverheadBytes = 128;

/** The topics' rows and their blocks, as the writer sees them inside its transaction. Rows are written once per commit. */
export class TopicTable {
  readonly #db: SqlDatabase;
  readonly #cache = new Map<string, TopicState>();
  readonly #dirty = new Set<TopicState>();
  readonly #select;
  readonly #insert;
  readonly #update;
  readonly #insertBlock;
  readonly #heads;
  readonly #deleteBlock;
  readonly #list;
  readonly #insertDamaged;
  readonly #deleteDamaged;

  constructor(db: SqlDatabase) {
    this.#db = db;
    this.#list = db.prepare("SELECT id, name, stored, trimmed, last_ms AS lastMs FROM topic");
    this.#select = db.prepare(
      `SELECT id, name, stored, trimmed, bytes, last_ms AS lastMs, from_agents AS fromAgents, direct, replicated,
         damaged, duplicates FROM topic WHERE name = ?`,
    );
    this.#insert = db.prepare("INSERT INTO topic VALUES (NULL, ?, 0, 0, 0, 0, 0, 0, 0, 0, 0)");
    this.#update = db.prepare(
      `UPDATE topic SET stored = ?, trimmed = ?, bytes = ?, last_ms = ?, from_agents = ?, direct = ?, replicated = ?,
         damaged = ?, duplicates = ? WHERE id = ?`,
    );
    this.#insertBlock = db.prepare("INSERT INTO block VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?)");
    this.#heads = db.prepare(
      "SELECT id, count, bytes, stored_ms AS storedMs FROM block WHERE topic_id = ? AND first > ? ORDER BY first LIMIT ?",
    );
    this.#deleteBlock = db.prepare("DELETE FROM block WHERE id = ?");
    this.#insertDamaged = db.prepare("INSERT OR IGNORE INTO damaged VALUES (?, ?, ?)");
    this.#deleteDamaged = db.prepare("DELETE FROM damaged WHERE topic_id = ? AND first <= ?");
  }

  list(): TopicRow[] {
    return this.#list.all() as TopicRow[];
  }

  /** Adds a block at the topic's end; answers with the ordinal of its first event. */
  append(
    block: PackedBlock,
    from: SourceCount,
    at: { nowMs: number; meta: string | null },
  ): number {
    const topic = this.#topic(block.topic);
    const first = topic.stored + 1;
    // The search by time needs times that never go back, whatever the wall clock does.
    topic.lastMs = Math.max(topic.lastMs, Math.floor(at.nowMs));
    topic.stored += block.count;
    topic[from] += block.count;
    const { byteLength } = block.hashes;
    const hashes = new Uint8Array(block.hashes.buffer, block.hashes.byteOffset, byteLength);
    const bytes = block.bytes.length + byteLength + rowOverheadBytes;
    topic.bytes += bytes;
    this.#insertBlock.run(
      ...[topic.id, first, block.count, topic.lastMs, bytes],
      ...[at.meta, hashes, block.bytes],
    );
    this.#dirty.add(topic);
    return first;
  }

  /**
   * Deletes up to `rowsMax` whole blocks from the head that are too old, or too much; the last block stays for its reader. Those up to the
   * ordinal `through` go in any case.
   */
  trim(name: string, limits: TrimLimits): TrimStep {
    const topic = this.#topic(name);
    const before = topic.trimmed;
    const heads = this.#heads.all(topic.id, before, limits.rowsMax) as Head[];
    for (const head of heads) {
      const isTooMuch = topic.bytes > limits.bytesMax && topic.trimmed + head.count < topic.stored;
      const isWanted = topic.trimmed + head.count > (limits.through ?? 0);
      if (isWanted && head.storedMs >= limits.beforeMs && !isTooMuch) {
        return { trimmed: topic.trimmed, dropped: topic.trimmed - before, hasMore: false };
      }
      this.#delete(head.id);
      topic.trimmed += head.count;
      this.#deleteDamaged.run(topic.id, topic.trimmed);
      topic.bytes -= head.bytes;
      this.#dirty.add(topic);
    }
    const hasMore = heads.length === limits.rowsMax;
    return { trimmed: topic.trimmed, dropped: topic.trimmed - before, hasMore };
  }

  /** Counts events that came again. Of a topic that nothing was stored in there are none. */
  repeated(name: string, count: number): void {
    if (count === 0) return;
    const topic = this.#topic(name);
    topic.duplicates += count;
    this.#dirty.add(topic);
  }

  /** Counts a damaged block, once; not when retention was faster. */
  damaged(name: string, { first, count }: { first: number; count: number }): void {
    const topic = this.#topic(name);
    if (first <= topic.trimmed) return;
    if (this.#insertDamaged.run(topic.id, first, count).changes === 0) return;
    topic.damaged += count;
    this.#dirty.add(topic);
  }

  flush(): void {
    for (const t of this.#dirty) {
      this.#update.run(
        ...[t.stored, t.trimmed, t.bytes, t.lastMs, t.fromAgents, t.direct, t.replicated],
        ...[t.damaged, t.duplicates, t.id],
      );
    }
    this.#dirty.clear();
  }

  /** After a rollback: what is cached may not be what is stored. */
  reset(): void {
    this.#dirty.clear();
    this.#cache.clear();
  }

  /** Where the disk spoilt the chain of a row's pages SQLite cannot free them: the row stays, and retention goes on behind it. */
  #delete(id: number): void {
    this.#db.exec("SAVEPOINT head");
    try {
      this.#deleteBlock.run(id);
    } catch (error) {
      if (!isDamage(error)) throw error;
      this.#db.exec("ROLLBACK TO head");
    }
    this.#db.exec("RELEASE head");
  }

  #topic(name: string): TopicState {
    const cached = this.#cache.get(name);
    if (cached) return cached;
    if (this.#select.get(name) === undefined) this.#insert.run(name);
    const topic = this.#select.get(name) as TopicState;
    this.#cache.set(name, topic);
    return topic;
  }
}

export interface TrimLimits {
  readonly beforeMs: number;
  readonly bytesMax: number;
  readonly through?: number | undefined;
  readonly rowsMax: number;
}

export interface TrimStep {
  readonly trimmed: number;
  readonly dropped: number;
  readonly hasMore: boolean;
}

interface Head {
  readonly id: number;
  readonly count: number;
  readonly bytes: number;
  readonly storedMs: number;
}
