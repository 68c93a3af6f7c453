import { MeshError } from "@fleetmesh/core";

export type SqlValue = string | number | null | Uint8Array;

export interface SqlStatement {
  run(...values: SqlValue[]): {
    readonly changes: number;
    readonly lastInsertRowid: number | bigint;
  };
  get(...values: SqlValue[]): unknown;
  all(...values: SqlValue[]): unknown[];
  iterate(...values: SqlValue[]): IterableIterator<unknown>;
}

/** As much of a synchronous SQLite driver as the store's threads need. */
export interface SqlDatabase {
  readonly inTransaction: boolean;
  exec(sql: string): unknown;
  prepare(sql: string): SqlStatement;
  pragma(text: string, options?: { readonly simple?: boolean }): unknown;
  close(): unknown;
}

export type OpenDatabase = (file: string) => SqlDatabase;

const damagedCodes = /^SQLITE_(?:CORRUPT|NOTADB)/;

export function isDamage(error: unknown): boolean {
  return damagedCodes.test(sqliteCode(error)) || MeshError.is(error, "STORE_DAMAGED");
}

/** The disk's or the file's fault, as against one statement's. */
export function isDiskFault(error: unknown): boolean {
  const code = sqliteCode(error);
  return (
    damagedCodes.test(code) ||
    /^SQLITE_(?:FULL|IOERR|READONLY|CANTOPEN|BUSY|LOCKED|PERM|AUTH|PROTOCOL|NOMEM)/.test(code)
  );
}

export function sqliteCode(error: unknown): string {
  if (!(error instanceof Error) || !("code" in error)) return "";
  return typeof error.code === "string" ? error.code : "";
}

/** A driver's error in the mesh's words. */
export function storeError(error: unknown): MeshError {
  if (MeshError.is(error)) return error;
  const text = error instanceof Error ? error.message : String(error);
  const code = sqliteCode(error);
  if (isDamage(error))
    return new MeshError("STORE_DAMAGED", `The store's file is damaged: ${text}`, { cause: error });
  if (code === "") return MeshError.from(error);
  return new MeshError("STORE_UNAVAILABLE", `The store cannot write: ${text} (${code})`, {
    cause: error,
    retryAfterSeconds: 2,
  });
}
