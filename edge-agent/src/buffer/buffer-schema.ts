import { classRank, eventClasses, MeshError } from "@fleetmesh/core/base";
import type { SqliteConnection } from "./sqlite-connection.ts";
import { recountTopics } from "./topic-rows.ts";

/**
 * What lies in `buffer.db`. A row of `block` is a block of consecutive events of one class, a row of `gap` consecutive
 * sequences that will never reach the region; together they cover (watermark, produced] of each class without a hole.
 * id = rank × 2^48 + first sequence.
 * A row of `repeat` has the identities of one commit's events, so that one that is sent again is known after all is deleted.
 * `class` and `topic` are kept in the transactions that change what they count, so that a start reads three rows, one more for
 * each topic that waits, and no blocks.
 */
const migrations: readonly string[] = [
  `CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
   CREATE TABLE class (
     rank INTEGER PRIMARY KEY, produced INTEGER NOT NULL, queued_bytes INTEGER NOT NULL,
     sequence INTEGER NOT NULL, stored INTEGER NOT NULL, rejected INTEGER NOT NULL,
     evicted INTEGER NOT NULL, expired INTEGER NOT NULL, damaged INTEGER NOT NULL,
     gap_evicted INTEGER NOT NULL, gap_expired INTEGER NOT NULL, gap_damaged INTEGER NOT NULL);
   CREATE TABLE block (
     id INTEGER PRIMARY KEY, count INTEGER NOT NULL, bytes INTEGER NOT NULL, guard INTEGER NOT NULL,
     received_min REAL NOT NULL, received_max REAL NOT NULL, expires_max REAL,
     topics TEXT NOT NULL, expires BLOB, body BLOB NOT NULL);
   CREATE TABLE gap (
     id INTEGER PRIMARY KEY, last INTEGER NOT NULL, reason INTEGER NOT NULL, topics TEXT NOT NULL);`,
  `CREATE TABLE repeat (
     id INTEGER PRIMARY KEY, count INTEGER NOT NULL, guard INTEGER NOT NULL, body BLOB NOT NULL);`,
  `CREATE TABLE topic (
     rank INTEGER NOT NULL, name TEXT NOT NULL, events INTEGER NOT NULL, bytes INTEGER NOT NULL,
     oldest INTEGER NOT NULL, evicted INTEGER NOT NULL, expired INTEGER NOT NULL,
     PRIMARY KEY (rank, name)) WITHOUT ROWID;`,
];
/** The first version that counts topics. */
const topicsVersion = 3;

/** Pages of a transaction that fits stay in memory; the rest spills to the log. Reading goes block by block. */
const cacheKiB = 1_024;
export const pageBytes = 4_096;
/** A log that one huge transaction had blown up is cut back to this: twice its usual size. */
const logBytesMax = 8 * 1024 * 1024;

export interface BufferIdentity {
  readonly agentId: string;
  readonly epoch: string;
}

/** Sets the connection up, brings the schema up to date and returns the identity, made from the given one when new. */
export function openSchema(
  db: SqliteConnection,
  fresh: BufferIdentity,
  durability: "full" | "off",
): BufferIdentity {
  // One process, one connection: the lock is the kernel's (gone with the process, even after kill -9), and the index of
  // the log lives on the heap instead of in a shared mapping, so that no page of the file is ever mapped.
  db.pragma("locking_mode = EXCLUSIVE");
  db.pragma("mmap_size = 0");
  db.pragma(`page_size = ${pageBytes}`);
  db.pragma("auto_vacuum = INCREMENTAL");
  db.pragma("journal_mode = WAL");
  db.pragma(`synchronous = ${durability === "full" ? "FULL" : "OFF"}`);
  db.pragma(`cache_size = -${cacheKiB}`);
  // The buffer copies the log itself, after the appends were answered: SQLite would hide the failures of its own copying,
  // and a failed sync must be known.
  db.pragma("wal_autocheckpoint = 0");
  db.pragma(`journal_size_limit = ${logBytesMax}`);
  db.pragma("temp_store = MEMORY");
  migrate(db, fresh);
  return readIdentity(db);
}

function migrate(db: SqliteConnection, fresh: BufferIdentity): void {
  const version = Number(db.pragma("user_version", { simple: true }));
  if (version > migrations.length) {
    throw new MeshError(
      "SCHEMA_NEWER",
      `The buffer's schema is ${version}; this agent knows ${migrations.length}`,
    );
  }
  if (version === migrations.length) return;
  db.exec("BEGIN IMMEDIATE");
  for (const sql of migrations.slice(version)) db.exec(sql);
  if (version === 0) {
    const meta = db.prepare("INSERT INTO meta (name, value) VALUES (?, ?)");
    meta.run("agentId", fresh.agentId);
    meta.run("epoch", fresh.epoch);
    const row = db.prepare("INSERT INTO class VALUES (?, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)");
    for (const eventClass of eventClasses) row.run(classRank(eventClass));
  } else if (version < topicsVersion) recountTopics(db);
  db.pragma(`user_version = ${migrations.length}`);
  db.exec("COMMIT");
}

function readIdentity(db: SqliteConnection): BufferIdentity {
  const agentId = readMeta(db, "agentId");
  const epoch = readMeta(db, "epoch");
  if (agentId === undefined || epoch === undefined)
    throw new MeshError("BUFFER_DAMAGED", "The buffer's file does not say whose it is");
  return { agentId, epoch };
}

export function readMeta(db: SqliteConnection, name: string): string | undefined {
  const row = db.prepare("SELECT value FROM meta WHERE name = ?").get(name) as
    { value: string } | undefined;
  return row?.value;
}

export function writeMeta(db: SqliteConnection, name: string, value: string): void {
  db.prepare("INSERT OR REPLACE INTO meta (name, value) VALUES (?, ?)").run(name, value);
}
