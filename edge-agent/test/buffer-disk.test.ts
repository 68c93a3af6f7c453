import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "better-sqlite3";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { SimulatedClock } from "@fleetmesh/core";
import type { AppendItem } from "../src/buffer/buffer.ts";
import { BufferDisk } from "../src/buffer/buffer-disk.ts";
import { GroupEncoder } from "../src/buffer/group-encoder.ts";
import type { SqliteConnection, SqliteStatement } from "../src/buffer/sqlite-connection.ts";

/** The driver with a switch: while `code` is set, writing fails with it; `afterCommit` fails when the commit is done. */
class FaultyDisk {
  code: string | undefined;
  afterCommit: string | undefined;
  connectionCount = 0;

  readonly connect = (file: string): SqliteConnection => {
    this.connectionCount += 1;
    const db = new Database(file) as SqliteConnection;
    return {
      prepare: (sql) => this.#statement(db.prepare(sql), sql),
      exec: (sql) => db.exec(sql),
      pragma: (text, options) => {
        if (text.startsWith("wal_checkpoint")) this.#fail();
        return db.pragma(text, options);
      },
      close: () => db.close(),
      get inTransaction() {
        return db.inTransaction;
      },
    };
  };

  #statement(statement: SqliteStatement, sql: string): SqliteStatement {
    return {
      run: (...values) => {
        if (sql === "COMMIT" || sql.startsWith("INSERT")) this.#fail();
        const result = statement.run(...values);
        const late = this.afterCommit;
        if (sql === "COMMIT" && late !== undefined) {
          this.code = late;
          this.#fail();
        }
        return result;
      },
      get: (...values) => statement.get(...values),
      all: (...values) => statement.all(...values),
      iterate: (...values) => statement.iterate(...values),
    };
  }

  #fail(): void {
    if (this.code !== undefined) throw Object.assign(new Error("the disk"), { code: this.code });
  }
}

function unitOf(ids: readonly string[]) {
  const encoder = new GroupEncoder();
  const items = ids.map((id): AppendItem => ({
    eventClass: "normal",
    expiresMs: undefined,
    entry: {
      topic: "t",
      receivedMs: 1,
      event: {
        id,
        source: "s",
        type: "t",
        subject: undefined,
        time: undefined,
        datacontenttype: undefined,
        dataschema: undefined,
        extensions: [],
        data: undefined,
        dataKind: "json",
      },
    },
  }));
  encoder.add(items);
  return encoder.finish();
}

describe("BufferDisk", () => {
  let directory = "";
  let clock = new SimulatedClock();
  let faults = new FaultyDisk();
  let states: (string | undefined)[] = [];
  let damages: string[] = [];
  let disk: BufferDisk;

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "fleetmesh-disk-"));
    clock = new SimulatedClock();
    faults = new FaultyDisk();
    states = [];
    damages = [];
    const settings = {
      file: join(directory, "buffer.db"),
      agentId: "agent-1",
      epoch: "00000000000000aa",
      limits: { bytesMax: 1e7, whenFull: "reject" },
      ackDelayMs: 50,
      reserveBytes: 65_536,
      durability: "full",
      isPlaceChecked: false,
    } as const;
    disk = new BufferDisk(settings, {
      connect: faults.connect,
      clock,
      onUnavailable: (reason) => states.push(reason),
      onDamaged: (reason) => damages.push(reason),
    });
    disk.open();
  });
  afterEach(() => {
    disk.close();
    rmSync(directory, { recursive: true, force: true });
  });

  const query = { rank: 1, after: 0, countMax: 100, bytesMax: 1e6, nowMs: undefined };
  /** With identities that say how many events there were. */
  const append = (...ids: string[]) =>
    disk.append([unitOf(ids)], undefined, [new Uint32Array(4 * ids.length).fill(ids.length)]);
  const countRead = (): number =>
    disk.read(query).reduce((sum, one) => sum + (one.kind === "block" ? one.count : 0), 0);

  for (const code of ["SQLITE_FULL", "SQLITE_IOERR_WRITE", "SQLITE_READONLY"])
    it(`stores nothing of an append that fails with ${code}, serves readers, and recovers by itself`, async () => {
      append("a", "b");
      faults.code = code;
      expect(() => append("c")).toThrow(/refuses writes/);
      expect(() => append("d")).toThrow(/refuses writes/);
      expect(countRead()).toBe(2);
      await clock.advance(2_000);
      expect(() => append("e")).toThrow(/refuses writes/);
      faults.code = undefined;
      await clock.advance(1_000);
      expect(append("f")).toEqual([true]);
      expect(countRead()).toBe(3);
      expect(states).toHaveLength(2);
      expect(states[1]).toBeUndefined();
      expect([...disk.repeats()]).toEqual([2, 2, 2, 2, 2, 2, 2, 2, 1, 1, 1, 1]);
      expect(disk.stats().classes.normal).toMatchObject({ produced: 3, queuedEvents: 3 });
    });

  it("takes back an append whose sync failed after it was written, before it promises anything new", async () => {
    append("a");
    faults.afterCommit = "SQLITE_IOERR_FSYNC";
    expect(() => append("b", "c")).toThrow(/refuses writes/);
    faults.afterCommit = undefined;
    expect(() => disk.read(query)).toThrow(/refuses writes/);
    await clock.advance(2_000);
    faults.code = undefined;
    await clock.advance(1_000);
    expect(faults.connectionCount).toBeGreaterThan(1);
    expect(countRead()).toBe(1);
    expect([...disk.repeats()]).toEqual([1, 1, 1, 1]);
    expect(append("d")).toEqual([true]);
    const [first, second] = disk.read(query);
    expect([first?.first, second?.first]).toEqual([1, 2]);
    expect(disk.stats().classes.normal).toMatchObject({ produced: 2, queuedEvents: 2 });
  });

  it("tells once that the file is damaged, and serves no more", () => {
    append("a");
    faults.code = "SQLITE_CORRUPT";
    expect(() => append("b")).toThrow(/damaged/);
    faults.code = undefined;
    expect(() => append("c")).toThrow(/damaged/);
    expect(() => disk.read(query)).toThrow(/damaged/);
    expect(damages).toHaveLength(1);
  });
});
