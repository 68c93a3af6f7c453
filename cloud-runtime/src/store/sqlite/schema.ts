import { MeshError } from "@fleetmesh/core";
import type { SqlDatabase } from "./sql-database.ts";

/** Each entry brings the file from the version before it to its own; never edit one that was released. */
const migrations: readonly string[] = [
  `
  CREATE TABLE topic (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE,
    stored INTEGER NOT NULL, trimmed INTEGER NOT NULL, bytes INTEGER NOT NULL, last_ms INTEGER NOT NULL,
    from_agents INTEGER NOT NULL, direct INTEGER NOT NULL, replicated INTEGER NOT NULL
  );
  -- One row per append and topic. The body comes last: the columns before it are read without touching its pages.
  CREATE TABLE block (
    id INTEGER PRIMARY KEY, topic_id INTEGER NOT NULL, first INTEGER NOT NULL, count INTEGER NOT NULL,
    stored_ms INTEGER NOT NULL, bytes INTEGER NOT NULL, meta TEXT, hashes BLOB NOT NULL, body BLOB NOT NULL
  );
  CREATE UNIQUE INDEX block_at ON block (topic_id, first);
  CREATE TABLE agent (
    agent_id TEXT NOT NULL, epoch TEXT NOT NULL, class INTEGER NOT NULL, sequence INTEGER NOT NULL,
    stored INTEGER NOT NULL, rejected INTEGER NOT NULL, evicted INTEGER NOT NULL, expired INTEGER NOT NULL,
    damaged INTEGER NOT NULL, PRIMARY KEY (agent_id, epoch, class)
  ) WITHOUT ROWID;
  CREATE TABLE direct_window (id INTEGER PRIMARY KEY, count INTEGER NOT NULL, identities BLOB NOT NULL);
  CREATE TABLE link (
    region TEXT NOT NULL, topic TEXT NOT NULL, cursor TEXT NOT NULL, PRIMARY KEY (region, topic)
  ) WITHOUT ROWID;
  CREATE TABLE rejected (
    id INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, bytes INTEGER NOT NULL, code TEXT NOT NULL,
    reason TEXT NOT NULL, meta TEXT NOT NULL, entry BLOB NOT NULL
  );
  CREATE TABLE counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;

  CREATE TABLE cursor (
    subscription TEXT NOT NULL, topic TEXT NOT NULL, start TEXT NOT NULL, position TEXT NOT NULL,
    delivered INTEGER NOT NULL, filtered INTEGER NOT NULL, expired INTEGER NOT NULL,
    dead_lettered INTEGER NOT NULL, trimmed INTEGER NOT NULL, ahead BLOB NOT NULL,
    PRIMARY KEY (subscription, topic)
  );
  CREATE TABLE retry (
    subscription TEXT NOT NULL, topic TEXT NOT NULL, position TEXT NOT NULL, key TEXT NOT NULL,
    attempts TEXT NOT NULL, next_ms INTEGER NOT NULL, PRIMARY KEY (subscription, topic, position)
  ) WITHOUT ROWID;
  -- A settled letter stays as a row without its event for a while: pages go on behind it, a repeated commit finds it.
  CREATE TABLE dead_letter (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, subscription TEXT NOT NULL, topic TEXT NOT NULL,
    position TEXT NOT NULL, at_ms INTEGER NOT NULL, reason TEXT NOT NULL, settled INTEGER NOT NULL,
    attempts TEXT, origin TEXT, entry BLOB
  );
  CREATE INDEX dead_letter_open ON dead_letter (seq) WHERE settled = 0;
  CREATE TABLE settled (
    subscription TEXT PRIMARY KEY, redriven INTEGER NOT NULL, discarded INTEGER NOT NULL
  ) WITHOUT ROWID;
  CREATE TABLE record (
    id INTEGER PRIMARY KEY, subscription TEXT NOT NULL, topic TEXT NOT NULL, low INTEGER NOT NULL,
    high INTEGER NOT NULL, count INTEGER NOT NULL, at_ms INTEGER NOT NULL, body BLOB NOT NULL
  );
  CREATE INDEX record_at ON record (topic, high, low);
  `,
  `
  ALTER TABLE topic ADD COLUMN damaged INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE topic ADD COLUMN duplicates INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE cursor ADD COLUMN damaged INTEGER NOT NULL DEFAULT 0;
  -- Blocks that readers found damaged, as long as they are kept: the row is what makes the count of the topic rise only once.
  CREATE TABLE damaged (
    topic_id INTEGER NOT NULL, first INTEGER NOT NULL, count INTEGER NOT NULL, PRIMARY KEY (topic_id, first)
  ) WITHOUT ROWID;
  `,
  `
  -- What the last events up to the watermark are known by, as JSON: an agent that holds others under these numbers is a copy.
  ALTER TABLE agent ADD COLUMN prints TEXT NOT NULL DEFAULT '[]';
  `,
];

const schemaVersion = migrations.length;

export interface PragmaOptions {
  readonly synchronous: "FULL" | "OFF";
}

/**
 * WAL: readers never wait for the writer. FULL: every commit is fsynced, which is what an acknowledgement means. No mmap: a disk
 * error stays an error code instead of a signal. 8 KiB pages: a block of 100 events spans few overflow pages, a cursor's row
 * stays cheap. The limits bound the WAL to about 16 MiB between checkpoints.
 */
export function configure(db: SqlDatabase, options: PragmaOptions): void {
  db.pragma("page_size = 8192");
  db.pragma("journal_mode = WAL");
  db.pragma(`synchronous = ${options.synchronous}`);
  db.pragma("mmap_size = 0");
  db.pragma("wal_autocheckpoint = 1000");
  db.pragma("journal_size_limit = 33554432");
  db.pragma("cache_size = -16384");
  db.pragma("temp_store = MEMORY");
  db.pragma("busy_timeout = 5000");
}

/** Brings the file to this version's schema, in one transaction. Throws SCHEMA_NEWER for a file of a later version. */
export function migrate(db: SqlDatabase): void {
  const version = Number(db.pragma("user_version", { simple: true }));
  if (version > schemaVersion)
    throw new MeshError(
      "SCHEMA_NEWER",
      `The store's file has schema ${version}; this version knows up to ${schemaVersion}`,
    );
  if (version === schemaVersion) return;
  db.exec("BEGIN IMMEDIATE");
  try {
    for (const step of migrations.slice(version)) db.exec(step);
    db.pragma(`user_version = ${schemaVersion}`);
    db.exec("COMMIT");
  } catch (error) {
    if (db.inTransaction) db.exec("ROLLBACK");
    throw error;
  }
}
