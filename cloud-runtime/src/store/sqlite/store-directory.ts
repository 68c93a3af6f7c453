import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { MeshError } from "@fleetmesh/core";
import { sqliteCode, storeError, type OpenDatabase, type SqlDatabase } from "./sql-database.ts";

/** Creates the directory so that it survives a power cut with what is in it. */
export function createDirectory(dir: string): void {
  try {
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    for (const path of [dir, dirname(dir)]) syncDirectory(path);
  } catch (cause) {
    const text = cause instanceof Error ? cause.message : String(cause);
    throw new MeshError("STORE_UNAVAILABLE", `The store's directory cannot be used: ${text}`, {
      cause,
    });
  }
}

/**
 * Takes the directory for this process: an exclusive lock on a small file beside the store, held while the connection is open,
 * released by the kernel however the process ends. DISK_LOCKED when another has it, with its process id where it is known.
 */
export function lockDirectory(openDatabase: OpenDatabase, dir: string): SqlDatabase {
  let lock: SqlDatabase | undefined;
  try {
    lock = openDatabase(join(dir, "lock.db"));
    lock.pragma("busy_timeout = 0");
    lock.exec("BEGIN EXCLUSIVE");
    tellHolder(dir);
    return lock;
  } catch (error) {
    lock?.close();
    if (!sqliteCode(error).startsWith("SQLITE_BUSY")) throw storeError(error);
    const holder = holderOf(dir);
    throw new MeshError("DISK_LOCKED", `Another process${holder} uses the store in ${dir}`, {
      cause: error,
    });
  }
}

/** For people only: a disk that is full must not keep the store from opening. */
function tellHolder(dir: string): void {
  try {
    writeFileSync(join(dir, "lock.pid"), String(process.pid));
  } catch {
    // Then nobody is told the number.
  }
}

/** Only ever asked while the lock is held: whoever holds it wrote its id, or is just about to. */
function holderOf(dir: string): string {
  try {
    const pid = Number(readFileSync(join(dir, "lock.pid"), "utf8"));
    return pid > 0 ? ` (process ${pid})` : "";
  } catch {
    return "";
  }
}

/** Puts a damaged store aside, whole, under a name of its own; answers where. */
export function quarantineFile(file: string): string {
  let number = 1;
  while (existsSync(`${file}.damaged-${number}`)) number += 1;
  const aside = `${file}.damaged-${number}`;
  // The log goes first: a crash in between must not leave the old log beside a new file.
  for (const suffix of ["-wal", "-shm", ""])
    if (existsSync(file + suffix)) renameSync(file + suffix, aside + suffix);
  syncDirectory(dirname(file));
  return aside;
}

function syncDirectory(path: string): void {
  const handle = openSync(path, "r");
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}
