import { BlockReader, emptyWatermark, encodeBlock, type BlockEntry } from "@fleetmesh/core/base";
import { guardOf, type BlockRow } from "./block-rows.ts";
import { rowId } from "./row-id.ts";
import { writeMeta } from "./buffer-schema.ts";
import { ClassStates, type ClassState } from "./class-state.ts";
import type { SqliteConnection, SqliteStatement } from "./sqlite-connection.ts";
import { recountTopics } from "./topic-rows.ts";

/**
 * Gives all that a buffer still holds a new identity: sequences from 1 in a new epoch. For a buffer whose numbers another
 * one has used too, so that nobody can say any more which of them the region has.
 *
 * Guarantees: one transaction, all of it or nothing. Events keep the id and source that they came with; an id that the agent
 * made is of the new epoch, for the other buffer may have given the old one to another event, and whoever drops what he has
 * by its id would lose this one. What the region had not confirmed goes out again: none is lost, some may be stored a second
 * time.
 */
export class Renewal {
  readonly #db: SqliteConnection;
  readonly #next: SqliteStatement;
  readonly #delete: SqliteStatement;
  readonly #insert: SqliteStatement;

  constructor(db: SqliteConnection) {
    this.#db = db;
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
      // What was lost under the old epoch is the old epoch's.
      recountTopics(this.#db);
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
    const entries = [...new BlockReader(row.body)].slice(skip);
    const body = skip === 0 ? row.body : encodeBlock(entries);
    const expires = row.expires?.slice(8 * skip) ?? null;
    const topics = JSON.stringify(countByTopic(entries));
    const bytes = body.length + (expires?.length ?? 0) + topics.length + 64;
    const id = rowId(rank, first + skip - base);
    const times = [row.received_min, row.received_max, row.expires_max];
    const guard = guardOf(id, entries.length, body);
    this.#insert.run(id, entries.length, bytes, guard, ...times, topics, expires, body);
    return bytes;
  }
}

function countByTopic(entries: readonly BlockEntry[]): Record<string, number> {
  const counts = new Map<string, number>();
  for (const { topic } of entries) counts.set(topic, (counts.get(topic) ?? 0) + 1);
  return Object.fromEntries(counts);
}
