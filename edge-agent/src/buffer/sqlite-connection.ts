/** The part of a SQLite driver that the buffer needs, so that only the thread's file knows which driver it is. */
export type SqliteValue = number | string | Uint8Array | null;

export interface SqliteStatement {
  run(...values: SqliteValue[]): { readonly changes: number };
  get(...values: SqliteValue[]): unknown;
  all(...values: SqliteValue[]): unknown[];
  iterate(...values: SqliteValue[]): IterableIterator<unknown>;
}

export interface SqliteConnection {
  prepare(sql: string): SqliteStatement;
  exec(sql: string): unknown;
  pragma(text: string, options?: { simple: boolean }): unknown;
  close(): unknown;
  readonly inTransaction: boolean;
}

/** What a failure of SQLite means to the buffer. */
export type SqliteFault = "full" | "disk" | "damaged" | "locked" | "other";

const faults: readonly (readonly [prefix: string, fault: SqliteFault])[] = [
  ["SQLITE_FULL", "full"],
  ["ENOSPC", "full"],
  ["EDQUOT", "full"],
  ["SQLITE_IOERR_CORRUPTFS", "damaged"],
  ["SQLITE_IOERR", "disk"],
  ["SQLITE_READONLY", "disk"],
  ["SQLITE_CANTOPEN", "disk"],
  ["SQLITE_PERM", "disk"],
  ["EROFS", "disk"],
  ["EIO", "disk"],
  ["EACCES", "disk"],
  ["EPERM", "disk"],
  ["SQLITE_CORRUPT", "damaged"],
  ["SQLITE_NOTADB", "damaged"],
  ["SQLITE_BUSY", "locked"],
  ["SQLITE_LOCKED", "locked"],
];

export function faultOf(error: unknown): SqliteFault {
  if (!(error instanceof Error)) return "other";
  if ("kind" in error && (error.kind === "BLOCK_DAMAGED" || error.kind === "BUFFER_DAMAGED"))
    return "damaged";
  if (!("code" in error)) return "other";
  const code = String(error.code);
  return faults.find(([prefix]) => code.startsWith(prefix))?.[1] ?? "other";
}
