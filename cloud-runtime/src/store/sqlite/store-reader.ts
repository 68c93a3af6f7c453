import { BlockReader, MeshError, type ClassWatermark, type TailPrints } from "@fleetmesh/core";
import {
  isDamage,
  type OpenDatabase,
  type SqlDatabase,
  type SqlStatement,
  type SqlValue,
} from "./sql-database.ts";
import type { QuestionName, StoreQuestions, BlockRow } from "./store-question.ts";
import type { CursorRow } from "./store-op.ts";

type Answers = {
  readonly [Name in QuestionName]: (
    ask: StoreQuestions[Name]["ask"],
  ) => StoreQuestions[Name]["answer"] | Promise<StoreQuestions[Name]["answer"]>;
};

/** Rows that one step of a search looks at before other readers get their turn. */
const searchRowsMax = 2_000;
const rowsPerReadMax = 256;

/** A topic, and the block in which reading begins. */
interface Start {
  readonly id: number;
  readonly first: number;
  readonly stored: number;
}

/** Answers questions over a connection of its own: a laggard's reading never waits for, nor delays, the writer. */
export class StoreReader {
  readonly #openDatabase: OpenDatabase;
  readonly #file: string;
  #db: SqlDatabase | undefined;
  #statements = new Map<string, SqlStatement>();

  constructor(openDatabase: OpenDatabase, file: string) {
    this.#openDatabase = openDatabase;
    this.#file = file;
  }

  async answer<Name extends QuestionName>(
    name: Name,
    ask: StoreQuestions[Name]["ask"],
  ): Promise<StoreQuestions[Name]["answer"]> {
    return this.#answers[name](ask);
  }

  close(): void {
    this.#statements.clear();
    this.#db?.close();
    this.#db = undefined;
  }

  readonly #answers: Answers = {
    blocks: (ask) => this.#blocks(ask),
    positionAt: ({ topic, timeMs }) => this.#positionAt(topic, timeMs),
    find: (ask) => this.#find(ask),

    watermarks: ({ agentId, epoch }) =>
      this.#all<ClassWatermark & { rank: number; prints: string }>(
        `SELECT class AS rank, sequence, stored, rejected, evicted, expired, damaged, prints FROM agent
         WHERE agent_id = ? AND epoch = ?`,
        [agentId, epoch],
      ).map(({ rank, prints, ...watermark }) => ({
        rank,
        watermark: { ...watermark, prints: JSON.parse(prints) as TailPrints },
      })),

    link: ({ region, topic }) =>
      this.#all<{ cursor: string }>("SELECT cursor FROM link WHERE region = ? AND topic = ?", [
        region,
        topic,
      ])[0]?.cursor,

    rejected: ({ limit }) =>
      this.#all(
        "SELECT at_ms AS atMs, code, reason, meta, entry FROM rejected ORDER BY id DESC LIMIT ?",
        [limit],
      ),

    ledger: () => {
      const counters: Record<string, number> = {};
      for (const row of this.#all<{ name: string; value: number }>("SELECT * FROM counter", []))
        counters[row.name] = row.value;
      const topics = this.#all<StoreQuestions["ledger"]["answer"]["topics"][number]>(
        `SELECT t.name, t.stored, t.trimmed, t.from_agents AS fromAgents, t.direct, t.replicated, t.duplicates, t.damaged,
           t.stored - t.trimmed - coalesce(sum(d.count), 0) AS readable
         FROM topic t LEFT JOIN damaged d ON d.topic_id = t.id GROUP BY t.id`,
        [],
      );
      return { topics, counters };
    },

    cursors: ({ subscription }) =>
      this.#all<Omit<CursorRow, "counts"> & Record<string, number>>(
        "SELECT * FROM cursor WHERE subscription = ? ORDER BY topic",
        [subscription],
      ).map(cursorRow),

    retries: ({ subscription }) =>
      this.#all(
        `SELECT subscription, topic, position, key, attempts, next_ms AS nextMs FROM retry
         WHERE subscription = ? ORDER BY next_ms`,
        [subscription],
      ),

    deadLetters: ({ subscription = null, topic = null, after = null, limit }) =>
      this.#all(
        `SELECT id, subscription, topic, position, at_ms AS atMs, reason, attempts, origin, entry FROM dead_letter
         WHERE settled = 0 AND seq > coalesce((SELECT seq FROM dead_letter WHERE id = ?), 0)
           AND (? IS NULL OR subscription = ?) AND (? IS NULL OR topic = ?) ORDER BY seq LIMIT ?`,
        [after, subscription, subscription, topic, topic, limit],
      ),

    deadLetterGroups: () =>
      this.#all(
        `SELECT subscription, reason, count(*) AS count, min(at_ms) AS oldestMs FROM dead_letter
         WHERE settled = 0 GROUP BY subscription, reason ORDER BY subscription, reason`,
        [],
      ),

    settled: () => this.#all("SELECT * FROM settled ORDER BY subscription", []),

    records: ({ topic, at }) =>
      this.#all(
        "SELECT subscription, body FROM record WHERE topic = ? AND high >= ? AND low <= ? ORDER BY id",
        [topic, at, at],
      ),
  };

  #blocks(ask: StoreQuestions["blocks"]["ask"]): BlockRow[] {
    const { topic, after } = ask;
    const start = this.#all<Start>(
      `SELECT t.id, t.stored, coalesce(max(b.first), 0) AS first FROM topic t
       LEFT JOIN block b ON b.topic_id = t.id AND b.first <= ? WHERE t.name = ? GROUP BY t.id`,
      [after + 1, topic],
    )[0];
    if (!start) return [];
    try {
      return this.#blocksFrom(start, ask);
    } catch (error) {
      if (!isDamage(error)) throw error;
      return this.#blockAlone(start, topic);
    }
  }

  #blocksFrom(
    start: Start,
    { topic, after, countMax, bytesMax }: StoreQuestions["blocks"]["ask"],
  ): BlockRow[] {
    const rows: BlockRow[] = [];
    let count = 0;
    let bytes = 0;
    for (const row of this.#iterate<Omit<BlockRow, "topic">>(
      "SELECT first, count, meta, body FROM block WHERE topic_id = ? AND first >= ? ORDER BY first LIMIT ?",
      [start.id, start.first, rowsPerReadMax],
    )) {
      rows.push({ ...row, topic });
      count += row.first + row.count - 1 - Math.max(after, row.first - 1);
      bytes += row.body.length;
      if (count >= countMax || bytes >= bytesMax) break;
    }
    return rows;
  }

  /** SQLite itself stumbles over one of the rows: only the next one then, told by the index where the row does not read back. */
  #blockAlone({ id: topicId, first, stored }: Start, topic: string): BlockRow[] {
    const [head, following] = this.#all<{ id: number; first: number }>(
      `SELECT id, first FROM block INDEXED BY block_at WHERE topic_id = ? AND first >= ? ORDER BY first LIMIT 2`,
      [topicId, first],
    );
    if (!head) return [];
    try {
      const row = this.#all<Omit<BlockRow, "topic">>(
        "SELECT first, count, meta, body FROM block WHERE id = ?",
        [head.id],
      )[0];
      if (row) return [{ ...row, topic }];
    } catch (error) {
      if (!isDamage(error)) throw error;
    }
    const count = (following?.first ?? stored + 1) - head.first;
    return [{ topic, first: head.first, count, meta: null, body: new Uint8Array(0) }];
  }

  /** Times never go back within a topic, so the block is found by halving. */
  #positionAt(topic: string, timeMs: number): number {
    const ends = this.#all<{ id: number; stored: number; trimmed: number }>(
      "SELECT id, stored, trimmed FROM topic WHERE name = ?",
      [topic],
    )[0];
    if (!ends) return 0;
    const at = "SELECT first, count, stored_ms AS ms FROM block WHERE topic_id = ? AND first <= ?";
    let low = ends.trimmed;
    let high = ends.stored;
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      const block = this.#all<{ first: number; count: number; ms: number }>(
        `${at} ORDER BY first DESC LIMIT 1`,
        [ends.id, middle],
      )[0];
      if (!block) return low;
      if (block.ms < timeMs)
        low = Math.min(ends.stored, Math.max(middle, block.first + block.count - 1));
      else high = Math.min(middle - 1, block.first - 1);
    }
    return Math.max(low, ends.trimmed);
  }

  /** Newest first, in steps between which other questions are answered: a search never holds up a reader for long. */
  async #find(ask: StoreQuestions["find"]["ask"]): Promise<StoreQuestions["find"]["answer"]> {
    const found: { row: BlockRow; indexes: number[] }[] = [];
    let count = 0;
    let before = Number.MAX_SAFE_INTEGER;
    while (count < ask.limit) {
      const rows = this.#all<{ id: number; hashes: Buffer }>(
        "SELECT id, hashes FROM block WHERE id < ? ORDER BY id DESC LIMIT ?",
        [before, searchRowsMax],
      );
      for (const { id, hashes } of rows) {
        before = id;
        if (!holds(hashes, ask.hash)) continue;
        const match = this.#matches(id, ask);
        if (match === undefined || match.indexes.length === 0) continue;
        found.push(match);
        count += match.indexes.length;
        if (count >= ask.limit) return found;
      }
      if (rows.length < searchRowsMax) return found;
      await new Promise((resolve) => setImmediate(resolve));
    }
    return found;
  }

  #matches(
    id: number,
    ask: StoreQuestions["find"]["ask"],
  ): { row: BlockRow; indexes: number[] } | undefined {
    try {
      return this.#matchesIn(id, ask);
    } catch (error) {
      // Reading past it counts it; a search only looks elsewhere.
      if (isDamage(error) || MeshError.is(error, "BLOCK_DAMAGED")) return undefined;
      throw error;
    }
  }

  #matchesIn(
    id: number,
    ask: StoreQuestions["find"]["ask"],
  ): { row: BlockRow; indexes: number[] } | undefined {
    const row = this.#all<BlockRow>(
      `SELECT t.name AS topic, b.first, b.count, b.meta, b.body FROM block b JOIN topic t ON t.id = b.topic_id
       WHERE b.id = ?`,
      [id],
    )[0];
    if (!row) return undefined;
    const indexes: number[] = [];
    const reader = new BlockReader(row.body);
    for (let index = reader.count - 1; index >= 0; index -= 1) {
      const { event } = reader.entry(index);
      if (event.id === ask.id && (ask.source === undefined || event.source === ask.source))
        indexes.push(index);
    }
    return { row, indexes };
  }

  #all<Row>(sql: string, values: readonly SqlValue[]): Row[] {
    return this.#statement(sql).all(...values) as Row[];
  }

  #iterate<Row>(sql: string, values: readonly SqlValue[]): IterableIterator<Row> {
    return this.#statement(sql).iterate(...values) as IterableIterator<Row>;
  }

  #statement(sql: string): SqlStatement {
    const known = this.#statements.get(sql);
    if (known) return known;
    this.#db ??= this.#open();
    const statement = this.#db.prepare(sql);
    this.#statements.set(sql, statement);
    return statement;
  }

  #open(): SqlDatabase {
    const db = this.#openDatabase(this.#file);
    db.pragma("mmap_size = 0");
    db.pragma("busy_timeout = 5000");
    db.pragma("cache_size = -8192");
    db.pragma("query_only = ON");
    return db;
  }
}

function holds(hashes: Buffer, wanted: number): boolean {
  for (let at = 0; at + 4 <= hashes.length; at += 4)
    if (hashes.readUInt32LE(at) === wanted) return true;
  return false;
}

function cursorRow(row: Omit<CursorRow, "counts"> & Record<string, number>): CursorRow {
  const { subscription, topic, start, position, ahead } = row;
  const at = (name: string): number => row[name] ?? 0;
  const counts = [
    at("delivered"),
    at("filtered"),
    at("expired"),
    at("dead_lettered"),
    at("trimmed"),
    at("damaged"),
  ] as const;
  return { subscription, topic, start, position, counts, ahead };
}
