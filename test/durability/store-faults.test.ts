import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { closeSync, existsSync, openSync, readdirSync, readFileSync } from "node:fs";
import { mkdtemp, open, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createLogger, MeshError } from "@fleetmesh/core";
import {
  openSqliteStore,
  type SqliteStore,
  type SqliteStoreOptions,
} from "@fleetmesh/cloud-runtime";
import { agentEvents, sampleEvent } from "../contract/event-samples.ts";
import { failure, idsOf, readAll, topic } from "../contract/event-store-probe.ts";
import { StoreOutside } from "./store-outside.ts";

const logger = createLogger({ part: "test", level: "silent" });
const script = join(import.meta.dirname, "store-writer.mjs");
const deadline = (): AbortSignal => AbortSignal.timeout(5_000);

/** Mounting needs root; says why not when it is not permitted here. */
function mount(dir: string, options: string): string | undefined {
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", options, "tmpfs", dir], { stdio: "pipe" });
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message.split("\n")[0] : String(error);
  }
}

describe("faults under the region's store", () => {
  let dir = "";
  let store: SqliteStore | undefined;
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), "fleetmesh-faults-"));
  });
  afterEach(async () => {
    await store?.part.stop(deadline());
    store = undefined;
    await rm(dir, { recursive: true, force: true });
  });
  const start = async (more: Partial<SqliteStoreOptions> = {}): Promise<SqliteStore> => {
    store = openSqliteStore({ dir, region: "cn-east", logger, ...more });
    await store.part.start();
    return store;
  };
  const publish = (to: SqliteStore, id: string, bytes = 100) =>
    to.events.appendDirect({
      ...{ topic, receivedMs: 1 },
      events: [sampleEvent(id, { data: Buffer.alloc(bytes, 7) })],
    });

  it("loses nothing acknowledged to kill -9 at any moment", async () => {
    const outside = new StoreOutside();
    for (let life = 1; life <= 4; life += 1) {
      const output = join(dir, "..", `${process.pid}-store-output`);
      const stdout = openSync(output, "w");
      const child: ChildProcess = spawn(process.execPath, [script, dir, String(life), "FULL"], {
        stdio: ["ignore", stdout, "inherit"],
        env: { ...process.env, NODE_OPTIONS: "" },
      });
      closeSync(stdout);
      const exited = once(child, "exit");
      while (!readFileSync(output, "utf8").includes("C ")) {
        expect(child.exitCode).toBeNull();
        await delay(10);
      }
      await delay(20 + 60 * life);
      child.kill("SIGKILL");
      await exited;
      outside.hear(readFileSync(output, "utf8"));
      await rm(output);
      expect(await outside.missingIn(await start())).toBe(0);
      await store?.part.stop(deadline());
    }
    expect(outside.direct.size).toBeGreaterThan(50);
  });

  it("refuses when the disk is full, stores nothing of it, and goes on when there is room", async (test) => {
    const why = mount(dir, "size=6m");
    if (why !== undefined) return test.skip(`no tmpfs: ${why}`);
    try {
      const ballast = join(dir, "ballast");
      await writeFile(ballast, Buffer.alloc(2_000_000));
      const to = await start();
      const stored: string[] = [];
      let refused: MeshError | undefined;
      for (let at = 0; at < 200 && !refused; at += 1) {
        const id = `e${at}`;
        await publish(to, id, 50_000).then(
          () => stored.push(id),
          (error: unknown) => {
            refused = MeshError.from(error);
          },
        );
      }
      expect(refused?.kind).toBe("STORE_UNAVAILABLE");
      expect(refused?.retryable).toBe(true);
      const again = await failure(to.events.appendFromAgent(agentEvents({ first: 1, last: 500 })));
      expect(again.kind).toBe("STORE_UNAVAILABLE");
      expect(await to.events.watermarks("car-7", "00000000000000aa")).toEqual({});
      expect(idsOf(await readAll(to.events))).toEqual(stored);
      await rm(ballast);
      expect((await publish(to, "after")).stored).toBe(1);
      expect((await to.events.appendFromAgent(agentEvents({ first: 1, last: 5 }))).outcome).toBe(
        "stored",
      );
      await to.part.stop(deadline());
      expect(idsOf(await readAll((await start()).events))).toHaveLength(stored.length + 6);
      await store?.part.stop(deadline());
    } finally {
      await store?.part.stop(deadline());
      execFileSync("umount", ["-l", dir]);
    }
  });

  it("does not start on a read-only file system, and does when it is writable again", async (test) => {
    const why = mount(dir, "size=32m");
    if (why !== undefined) return test.skip(`no tmpfs: ${why}`);
    try {
      const before = await start();
      await publish(before, "before");
      await before.part.stop(deadline());
      execFileSync("mount", ["-o", "remount,ro", dir]);
      expect((await failure(start())).kind).toBe("STORE_UNAVAILABLE");
      execFileSync("mount", ["-o", "remount,rw", dir]);
      const after = await start();
      await publish(after, "after");
      expect(idsOf(await readAll(after.events))).toEqual(["before", "after"]);
    } finally {
      await store?.part.stop(deadline());
      execFileSync("umount", ["-l", dir]);
    }
  });

  it("keeps its directory to itself, and gives it back", async () => {
    const first = await start();
    const second = openSqliteStore({ dir, region: "cn-east", logger });
    const error = await failure(second.part.start());
    expect(error.kind).toBe("DISK_LOCKED");
    await first.part.stop(deadline());
    await second.part.start();
    await second.part.stop(deadline());
  });

  it("refuses a damaged file at start, or puts it aside when told to", async () => {
    const before = await start();
    await publish(before, "a");
    await before.part.stop(deadline());
    const handle = await open(join(dir, "store.db"), "r+");
    await handle.write(Buffer.alloc(8_192, 0x5a), 0, 8_192, 0);
    await handle.close();
    expect((await failure(start())).kind).toBe("STORE_DAMAGED");
    expect(readdirSync(dir).filter((name) => name.includes("damaged"))).toEqual([]);
    const fresh = await start({ onDamage: "quarantine" });
    expect((await publish(fresh, "b")).stored).toBe(1);
    expect(idsOf(await readAll(fresh.events))).toEqual(["b"]);
    expect(existsSync(join(dir, "store.db.damaged-1"))).toBe(true);
  });

  it("passes over a damaged block and gives everything around it", async () => {
    const before = await start();
    for (const id of ["a", "b", "c"]) await publish(before, id, 40_000);
    await before.part.stop(deadline());
    const file = join(dir, "store.db");
    const bytes = readFileSync(file);
    // A run of the second event's data, in the middle of its pages.
    const marks: number[] = [];
    for (let at = 0; at < bytes.length; at += 8_192)
      if (bytes.subarray(at + 100, at + 8_000).every((byte) => byte === 7)) marks.push(at);
    const handle = await open(file, "r+");
    await handle.write(
      Buffer.alloc(100, 9),
      0,
      100,
      (marks[Math.floor(marks.length / 2)] ?? 0) + 4_000,
    );
    await handle.close();
    const after = await start();
    expect(idsOf(await readAll(after.events))).toEqual(["a", "c"]);
    expect((await publish(after, "d")).stored).toBe(1);
    expect(idsOf(await readAll(after.events))).toEqual(["a", "c", "d"]);
  });

  it("does not touch a file of a later version", async () => {
    await (await start()).part.stop(deadline());
    const handle = await open(join(dir, "store.db"), "r+");
    // SQLite file format 1.3: the user version is the big-endian number at offset 60.
    await handle.write(Buffer.from([0, 0, 0, 99]), 0, 4, 60);
    await handle.close();
    expect((await failure(start({ onDamage: "quarantine" }))).kind).toBe("SCHEMA_NEWER");
  });

  it("does not grow for ever while retention keeps up", async () => {
    const retention = () => ({ retentionMs: 1e12, retentionBytes: 2_000_000 });
    const to = await start({ retention });
    const sizes: number[] = [];
    for (let round = 0; round < 6; round += 1) {
      for (let at = 0; at < 60; at += 1) await publish(to, `r${round}-${at}`, 50_000);
      await to.events.trim(Date.now());
      sizes.push(readFileSync(join(dir, "store.db")).length);
    }
    const { stored, trimmed } = await to.events.bounds(topic);
    expect(stored).toBe(360);
    expect(stored - trimmed).toBeLessThan(41);
    // 18 MB went through it.
    expect(Math.max(...sizes)).toBeLessThan(7_000_000);
  });
});
