import type { SqlDatabase } from "./sql-database.ts";
import type { DeadLetterRow, DeliverOp, ForgetOp, SettleOp, TidyOp } from "./store-op.ts";

export interface DeliveryWriterOptions {
  readonly recordsMax: number;
  readonly recordMs: number;
}

/** Settled dead letters that are still known by id. */
const settledKeptMax = 10_000;

/** Writes what the dispatcher must not forget, inside the transaction of its group. */
export class DeliveryWriter {
  readonly #db: SqlDatabase;
  readonly #options: DeliveryWriterOptions;
  readonly #upsertCursor;
  readonly #upsertRetry;
  readonly #deleteRetry;
  readonly #insertDeadLetter;
  readonly #insertRecords;
  readonly #settle;
  readonly #countSettled;

  constructor(db: SqlDatabase, options: DeliveryWriterOptions) {
    this.#db = db;
    this.#options = options;
    this.#upsertCursor = db.prepare(
      `INSERT OR REPLACE INTO cursor (subscription, topic, start, position, delivered, filtered, expired, dead_lettered,
         trimmed, damaged, ahead) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    );
    this.#upsertRetry = db.prepare("INSERT OR REPLACE INTO retry VALUES (?, ?, ?, ?, ?, ?)");
    this.#deleteRetry = db.prepare(
      "DELETE FROM retry WHERE subscription = ? AND topic = ? AND position = ?",
    );
    // A commit whose answer was lost is made again: the same dead letter is one, even when it was settled meanwhile.
    this.#insertDeadLetter = db.prepare(
      "INSERT OR IGNORE INTO dead_letter VALUES (NULL, ?, ?, ?, ?, ?, ?, 0, ?, ?, ?)",
    );
    this.#insertRecords = db.prepare("INSERT INTO record VALUES (NULL, ?, ?, ?, ?, ?, ?, ?)");
    this.#settle = db.prepare(
      `UPDATE dead_letter SET settled = 1, attempts = NULL, origin = NULL, entry = NULL
       WHERE id = ? AND settled = 0 RETURNING subscription`,
    );
    this.#countSettled = db.prepare(
      `INSERT INTO settled VALUES (?, ?, ?) ON CONFLICT (subscription)
       DO UPDATE SET redriven = redriven + excluded.redriven, discarded = discarded + excluded.discarded`,
    );
  }

  deliver(op: DeliverOp): void {
    for (const { subscription, topic, start, position, counts, ahead } of op.cursors)
      this.#upsertCursor.run(subscription, topic, start, position, ...counts, ahead);
    for (const r of op.retries)
      this.#upsertRetry.run(r.subscription, r.topic, r.position, r.key, r.attempts, r.nextMs);
    for (const done of op.retriesDone) this.#deleteRetry.run(...done);
    for (const letter of op.deadLetters) this.#keep(letter);
    for (const r of op.records)
      this.#insertRecords.run(r.subscription, r.topic, r.low, r.high, r.count, r.atMs, r.body);
  }

  forget({ subscription }: ForgetOp): void {
    for (const table of ["cursor", "retry", "record"])
      this.#db.prepare(`DELETE FROM ${table} WHERE subscription = ?`).run(subscription);
  }

  settle({ ids, outcome }: SettleOp): number {
    let settled = 0;
    for (const id of ids) {
      const row = this.#settle.get(id) as { subscription: string } | undefined;
      if (!row) continue;
      const isRedriven = outcome === "redriven";
      this.#countSettled.run(row.subscription, isRedriven ? 1 : 0, isRedriven ? 0 : 1);
      settled += 1;
    }
    return settled;
  }

  /** Delivery records are kept for their time and number; settled dead letters by number. */
  tidy({ nowMs }: TidyOp): void {
    const { recordsMax, recordMs } = this.#options;
    this.#db.prepare("DELETE FROM record WHERE at_ms < ?").run(nowMs - recordMs);
    const rows = this.#db.prepare("SELECT id, count FROM record ORDER BY id DESC");
    let total = 0;
    for (const row of rows.all() as { id: number; count: number }[]) {
      total += row.count;
      if (total <= recordsMax) continue;
      this.#db.prepare("DELETE FROM record WHERE id <= ?").run(row.id);
      break;
    }
    this.#db
      .prepare(
        `DELETE FROM dead_letter WHERE settled = 1 AND seq <= (
           SELECT seq FROM dead_letter WHERE settled = 1 ORDER BY seq DESC LIMIT 1 OFFSET ?)`,
      )
      .run(settledKeptMax);
  }

  #keep(letter: DeadLetterRow): void {
    const { id, subscription, topic, position, atMs, reason } = letter;
    this.#insertDeadLetter.run(
      ...[id, subscription, topic, position, atMs, reason],
      ...[letter.attempts, letter.origin, letter.entry],
    );
  }
}
