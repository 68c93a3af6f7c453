import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "better-sqlite3";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { emptyWatermark, noExtensions } from "@fleetmesh/core";
import { packAgent, packDirect } from "../src/store/sqlite/block-packer.ts";
import type { SqlDatabase, SqlValue } from "../src/store/sqlite/sql-database.ts";
import type { StoreOp, StoreResult } from "../src/store/sqlite/store-op.ts";
import { StoreWriter } from "../src/store/sqlite/store-writer.ts";

/** A real database under a disk that fails on demand, with SQLite's own codes. */
class FailingDisk {
  fault: { readonly on: string; readonly code: string } | undefined;
  opened = 0;

  readonly open = (file: string): SqlDatabase => {
    const db = new Database(file);
    this.opened += 1;
    return {
      get inTransaction() {
        return db.inTransaction;
      },
      exec: (sql) => {
        this.#mayFail(sql);
        return db.exec(sql);
      },
      prepare: (sql) => {
        const statement = db.prepare<SqlValue[]>(sql);
        return {
          run: (...values) => {
            this.#mayFail(sql);
            return statement.run(...values);
          },
          get: (...values) => statement.get(...values),
          all: (...values) => statement.all(...values),
          iterate: (...values) => statement.iterate(...values),
        };
      },
      pragma: (text, options) => db.pragma(text, options),
      close: () => db.close(),
    };
  };

  #mayFail(sql: string): void {
    if (this.fault === undefined || !sql.includes(this.fault.on)) return;
    throw new Database.SqliteError("injected", this.fault.code);
  }
}

function event(id: string) {
  const none = { subject: undefined, time: undefined, dataschema: undefined };
  const data = Buffer.from(id);
  const type = { type: "t", datacontenttype: undefined, extensions: noExtensions };
  return { id, source: "urn:v", ...none, ...type, data, dataKind: "binary" as const };
}

function agentOp(first: number, last: number): StoreOp {
  const entries = Array.from({ length: last - first + 1 }, (_, at) => ({
    ...{ topic: "t", sequence: first + at, receivedMs: 1 },
    event: event(`e${first + at}`),
  }));
  const runs = [{ kind: "events", entries }] as const;
  const agent = { agentId: "car", epoch: "00000000000000aa", eventClass: "normal" } as const;
  return packAgent({ ...agent, first, last, runs }).op;
}

const directOp = (...ids: string[]): StoreOp =>
  packDirect({ topic: "t", receivedMs: 1, events: ids.map(event) }).op;

describe("StoreWriter", () => {
  let dir = "";
  let disk = new FailingDisk();
  let writer: StoreWriter;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), "fleetmesh-writer-"));
    disk = new FailingDisk();
    writer = new StoreWriter(disk.open, {
      ...{ file: join(dir, "store.db"), synchronous: "FULL", directWindow: 100 },
      ...{ rejectedBytesMax: 1_000, rejectedMs: 1_000, recordsMax: 10, recordMs: 1_000 },
    });
    writer.open();
  });
  afterEach(() => {
    writer.close();
    rmSync(dir, { recursive: true });
  });
  const kinds = (results: readonly StoreResult[]): string[] =>
    results.map((result) => (result.kind === "failed" ? result.error.kind : result.kind));

  const faults = ["SQLITE_READONLY", "SQLITE_IOERR_FSYNC", "SQLITE_FULL", "SQLITE_IOERR_WRITE"];
  const places = ["COMMIT", "INSERT INTO block", "UPDATE topic", "BEGIN"];
  it.each(faults.flatMap((code) => places.map((on) => ({ code, on }))))(
    "stores nothing of a group when $code strikes at $on, and goes on by itself",
    ({ code, on }) => {
      expect(kinds(writer.apply([agentOp(1, 3), directOp("a")], 1))).toEqual(["agent", "direct"]);
      disk.fault = { code, on };
      const group = [agentOp(4, 6), directOp("b"), directOp("b", "c")];
      expect(kinds(writer.apply(group, 2))).toEqual(Array(3).fill("STORE_UNAVAILABLE"));
      disk.fault = undefined;
      const [agent, direct, resend] = writer.apply(
        [agentOp(4, 6), directOp("b"), directOp("a", "b", "c")],
        3,
      );
      expect(agent).toMatchObject({ outcome: "stored", stored: [{ first: 5 }] });
      expect(agent).toMatchObject({ watermark: { ...emptyWatermark, sequence: 6, stored: 6 } });
      expect(direct).toMatchObject({ kind: "direct", first: 8, kept: [0] });
      expect(resend).toMatchObject({ kind: "direct", first: 9, kept: [2] });
      const [topic] = writer.open();
      expect(topic).toMatchObject({ stored: 9, trimmed: 0 });
    },
  );

  it("opens the file anew after an I/O error, not after a full disk", () => {
    disk.fault = { on: "COMMIT", code: "SQLITE_FULL" };
    writer.apply([directOp("a")], 1);
    disk.fault = undefined;
    writer.apply([directOp("a")], 1);
    expect(disk.opened).toBe(1);
    disk.fault = { on: "COMMIT", code: "SQLITE_IOERR_FSYNC" };
    writer.apply([directOp("b")], 1);
    disk.fault = undefined;
    expect(kinds(writer.apply([directOp("b")], 1))).toEqual(["direct"]);
    expect(disk.opened).toBe(2);
  });

  it("fails only the operation that SQLite itself refuses", () => {
    disk.fault = { on: "INSERT OR REPLACE INTO agent", code: "SQLITE_TOOBIG" };
    expect(kinds(writer.apply([agentOp(1, 2), directOp("a")], 1))).toEqual([
      "STORE_UNAVAILABLE",
      "direct",
    ]);
    disk.fault = undefined;
    expect(writer.open()).toMatchObject([{ stored: 1 }]);
  });
});
