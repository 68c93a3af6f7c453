import { errorToData, MeshError } from "@fleetmesh/core";
import { DeliveryWriter, type DeliveryWriterOptions } from "./delivery-writer.ts";
import { EventWriter, type EventWriterOptions } from "./event-writer.ts";
import { configure, migrate, type PragmaOptions } from "./schema.ts";
import {
  isDiskFault,
  sqliteCode,
  storeError,
  type OpenDatabase,
  type SqlDatabase,
} from "./sql-database.ts";
import type { StoreOp, StoreResult, TopicRow } from "./store-op.ts";

export interface StoreWriterOptions
  extends EventWriterOptions, DeliveryWriterOptions, PragmaOptions {
  readonly file: string;
}

interface Opened {
  readonly db: SqlDatabase;
  readonly events: EventWriter;
  readonly deliveries: DeliveryWriter;
}

/**
 * The one writer of the store's file: each group of operations is one transaction and one fsync. Decisions that refuse an
 * operation (a conflict, a link's cursor) fail it alone; a fault of the disk fails the whole group, and nothing of it is stored.
 */
export class StoreWriter {
  readonly #openDatabase: OpenDatabase;
  readonly #options: StoreWriterOptions;
  #opened: Opened | undefined;

  constructor(openDatabase: OpenDatabase, options: StoreWriterOptions) {
    this.#openDatabase = openDatabase;
    this.#options = options;
  }

  /** Opens the file, or again after a fault. Throws SCHEMA_NEWER, STORE_DAMAGED or STORE_UNAVAILABLE. */
  open(): TopicRow[] {
    return this.#open().events.topics.list();
  }

  apply(ops: readonly StoreOp[], nowMs: number): StoreResult[] {
    try {
      return this.#applyTogether(ops, nowMs);
    } catch (error) {
      // One operation that SQLite itself refuses must not take its neighbours along. Not after a fault of the disk: a
      // commit that failed must not be overtaken by a later one of the same sender.
      if (ops.length > 1 && !isDiskFault(error) && !MeshError.is(error))
        return ops.map((op) => this.#applyAlone(op, nowMs));
      const failed: StoreResult = { kind: "failed", error: errorToData(storeError(error)) };
      return ops.map(() => failed);
    }
  }

  close(): void {
    const opened = this.#opened;
    this.#opened = undefined;
    opened?.db.close();
  }

  #applyAlone(op: StoreOp, nowMs: number): StoreResult {
    try {
      return this.#applyTogether([op], nowMs)[0] as StoreResult;
    } catch (error) {
      return { kind: "failed", error: errorToData(storeError(error)) };
    }
  }

  #applyTogether(ops: readonly StoreOp[], nowMs: number): StoreResult[] {
    const opened = this.#open();
    const { db, events } = opened;
    try {
      db.exec("BEGIN IMMEDIATE");
      const results = ops.map((op) => decide(opened, op, nowMs));
      events.flush();
      db.exec("COMMIT");
      events.committed();
      return results;
    } catch (error) {
      this.#rollBack(opened, error);
      throw error;
    }
  }

  #rollBack({ db, events }: Opened, error: unknown): void {
    try {
      if (db.inTransaction) db.exec("ROLLBACK");
      // Lets the next commit write over the WAL from its start: on a full disk that space is all there is.
      if (sqliteCode(error) === "SQLITE_FULL") db.pragma("wal_checkpoint(RESTART)");
      events.rolledBack();
    } catch {
      this.#reopenLater();
      return;
    }
    // After an I/O error the connection's view of the file cannot be trusted: the next group opens it anew.
    if (isDiskFault(error) && sqliteCode(error) !== "SQLITE_FULL") this.#reopenLater();
  }

  #reopenLater(): void {
    try {
      this.close();
    } catch {
      // The file is out of reach; the next group tries to open it and says so.
    }
  }

  #open(): Opened {
    if (this.#opened) return this.#opened;
    let db: SqlDatabase | undefined;
    try {
      db = this.#openDatabase(this.#options.file);
      configure(db, this.#options);
      migrate(db);
      assertReadable(db);
      // SQLite opens what it may not write without a word; a store that cannot take events must not start.
      db.exec("BEGIN IMMEDIATE");
      db.exec("ROLLBACK");
      const events = new EventWriter(db, this.#options);
      this.#opened = { db, events, deliveries: new DeliveryWriter(db, this.#options) };
      return this.#opened;
    } catch (error) {
      db?.close();
      throw storeError(error);
    }
  }
}

/** Every table's structure and the small tables' pages; the blocks themselves carry checksums and are checked when read. */
function assertReadable(db: SqlDatabase): void {
  for (const table of ["topic", "agent", "link", "counter", "cursor", "settled"]) {
    const result = db.pragma(`quick_check(${table})`, { simple: true });
    if (result !== "ok")
      throw new MeshError(
        "STORE_DAMAGED",
        `The table "${table}" does not read back: ${String(result)}`,
      );
  }
}

function decide(to: Opened, op: StoreOp, nowMs: number): StoreResult {
  try {
    return write(to, op, nowMs);
  } catch (error) {
    if (MeshError.is(error, "EVENT_CONFLICT") || MeshError.is(error, "LINK_BEHIND"))
      return { kind: "failed", error: errorToData(error) };
    throw error;
  }
}

function write({ events, deliveries }: Opened, op: StoreOp, nowMs: number): StoreResult {
  switch (op.kind) {
    case "agent":
      return events.agent(op, nowMs);
    case "direct":
      return events.direct(op, nowMs);
    case "replicated":
      return events.replicated(op, nowMs);
    case "trim":
      return events.trim(op);
    case "damaged":
      events.topics.damaged(op.topic, op);
      return { kind: "done", count: 0 };
    case "deliver":
      deliveries.deliver(op);
      return { kind: "done", count: 0 };
    case "forget":
      deliveries.forget(op);
      return { kind: "done", count: 0 };
    case "settle":
      return { kind: "done", count: deliveries.settle(op) };
    case "tidy":
      events.tidy(op);
      deliveries.tidy(op);
      return { kind: "done", count: 0 };
  }
}
