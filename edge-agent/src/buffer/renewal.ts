import {
  agentMadeId,
  BlockReader,
  BlockWriter,
  classOfRank,
  emptyWatermark,
  type BlockEntry,
} from "@fleetmesh/core/base";
import { guardOf, type BlockRow } from "./block-rows.ts";
import { rowId, writeMeta, type BufferIdentity } from "./buffer-schema.ts";
import { ClassStates, type ClassState } from "./class-state.ts";
import type { SqliteConnection, SqliteStatement } from "./sqlite-connection.ts";

/**
 * Gives all that a buffer still holds a new identity: sequences from 1 in a new epoch. For a buffer whose numbers another
 * one has used too, so that nobody can say any more which of them the region has.
 *
 * Guarantees: one transaction, all of it or nothing. Events keep id and source; an id that the agent made stays the one of
 * the old epoch. What the region had not confirmed goes out again: none is lost, some may be stored a second time.
 */
export class Renewal {
  readonly #db: SqliteConnection;
  readonly #old: BufferIdentity;
  readonly #next: SqliteStatement;
  readonly #delete: SqliteStatement;
  readonly #insert: SqliteStatement;

  constructor(db: SqliteConnection, old: BufferIdentity) {
    this.#db = db;
    this.#old = old;
    this.#next = db.prepare("SELECT * FROM block WHERE id > ? AND id < ? ORDER BY id LIMIT 1");
    this.#delete = db.prepare("DELETE FROM block WHERE id = ?");
    this.#insert = db.prepare(
      `INSERT INTO block (id, count, bytes, guard, received_min, received_max, expires_max, topics, expires, body)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    );
  }

  run(epoch: string): void {
    const states = new ClassStates(this.#db);
    this.#db.exec("BEGIN IMMEDIATE");
    try {
      for (const state of states.all) {
        this.#renew(state);
        states.save(state);
      }
      writeMeta(this.#db, "epoch", epoch);
      this.#db.exec("COMMIT");
    } catch (error) {
      if (this.#db.inTransaction) this.#db.exec("ROLLBACK");
      throw error;
    }
  }

  #renew(state: ClassState): void {
    const { rank } = state;
    const base = state.confirmed.sequence;
    const end = rowId(rank + 1, 0);
    state.queuedBytes = 0;
    // Ascending, and each row moves down: none is met twice.
    for (let at = rowId(rank, 0); ;) {
      const row = this.#next.get(at, end) as BlockRow | undefined;
      if (row === undefined) break;
      at = row.id;
      this.#delete.run(row.id);
      state.queuedBytes += this.#move(row, rank, base);
    }
    const gaps = [rowId(rank, 0), end] as const;
    this.#db
      .prepare("UPDATE gap SET id = id - ?, last = last - ? WHERE id > ? AND id < ?")
      .run(base, base, ...gaps);
    state.produced -= base;
    state.confirmed = emptyWatermark;
  }

  /** Returns the bytes that count as stored. */
  #move(row: BlockRow, rank: number, base: number): number {
    const first = row.id - rowId(rank, 0);
    const skip = Math.max(0, base + 1 - first);
    if (skip >= row.count) return 0;
    const entries = this.#entries(row, rank).slice(skip);
    const writer = new BlockWriter();
    for (const entry of entries) writer.add(entry);
    const body = writer.finish();
    const expires = row.expires?.slice(8 * skip) ?? null;
    const topics = JSON.stringify(countByTopic(entries));
    const bytes = body.length + (expires?.length ?? 0) + topics.length + 64;
    const id = rowId(rank, first + skip - base);
    const times = [row.received_min, row.received_max, row.expires_max];
    const guard = guardOf(id, entries.length, body);
    this.#insert.run(id, entries.length, bytes, guard, ...times, topics, expires, body);
    return bytes;
  }

  /** With every id written out: the one that the agent makes would follow the new epoch. */
  #entries(row: BlockRow, rank: number): BlockEntry[] {
    const eventClass = classOfRank(rank) ?? "normal";
    const first = row.id - rowId(rank, 0);
    return [...new BlockReader(row.body)].map((entry, index) => {
      if (entry.event.id !== "") return entry;
      const id = agentMadeId(this.#old.epoch, eventClass, first + index);
      return { ...entry, event: { ...entry.event, id } };
    });
  }
}

function countByTopic(entries: readonly BlockEntry[]): Record<string, number> {
  const counts = new Map<string, number>();
  for (const { topic } of entries) counts.set(topic, (counts.get(topic) ?? 0) + 1);
  return Object.fromEntries(counts);
}
