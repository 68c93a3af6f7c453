import { execFileSync } from "node:child_process";
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  statSync,
  writeSync,
} from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import {
  createLogger,
  emptyWatermark,
  MeshError,
  seededChance,
  systemClock,
} from "@fleetmesh/core";
import { AgentBuffers, SqliteBuffer, type SqliteBufferOptions } from "@fleetmesh/edge-agent";
import { RetiredEpochs } from "../../edge-agent/src/buffer/retired-epochs.ts";
import {
  assertLedger,
  gapsOf,
  idsOf,
  itemsOf,
  readAll,
  storedUpTo,
} from "../contract/buffer-events.ts";

const logger = createLogger({ part: "test", level: "silent" });
let seed = 100;
let directory = "";
let parts: { stop(deadline: AbortSignal): Promise<void> }[] = [];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "fleetmesh-faults-"));
  parts = [];
});
afterEach(async () => {
  for (const part of parts) await part.stop(AbortSignal.timeout(5_000));
  await rm(directory, { recursive: true, force: true });
});

const optionsOf = (more: Partial<SqliteBufferOptions> = {}): SqliteBufferOptions => ({
  directory,
  agentId: "agent-1",
  limits: { bytesMax: 64 * 1024 * 1024, whenFull: "reject" },
  clock: systemClock,
  chance: seededChance((seed += 1)),
  logger,
  reserveBytes: 0,
  ...more,
});

async function openBuffer(more: Partial<SqliteBufferOptions> = {}): Promise<SqliteBuffer> {
  const buffer = new SqliteBuffer(optionsOf(more));
  parts.push(buffer);
  await buffer.start();
  return buffer;
}

async function openAll(): Promise<AgentBuffers> {
  const buffers = new AgentBuffers(optionsOf());
  parts.push(buffers);
  await buffers.start();
  return buffers;
}

async function fill(
  buffer: { append: SqliteBuffer["append"] },
  from: number,
  blocks: number,
): Promise<void> {
  for (let at = 0; at < blocks; at += 1)
    await buffer.append(itemsOf(from + at * 20, 20, { bytes: 1_000 }));
}

function overwrite(file: string, offset: number, length: number): void {
  const handle = openSync(file, "r+");
  writeSync(handle, Buffer.alloc(length, 0xa5), 0, length, offset);
  closeSync(handle);
}

async function salvagedOf(buffers: AgentBuffers) {
  await vi.waitUntil(() => buffers.salvaged.length > 0, { timeout: 15_000 });
  const [salvaged] = buffers.salvaged;
  if (!salvaged) throw new Error("nothing was salvaged");
  return salvaged;
}

describe("the edge buffer's file", () => {
  it("does not grow over 200 rounds of appending and deleting 5 MB", async () => {
    const buffer = await openBuffer();
    let sequence = 0;
    let highest = 0;
    for (let round = 0; round < 200; round += 1) {
      await buffer.append(itemsOf(50 * round, 50, { bytes: 100_000 }));
      sequence += 50;
      await buffer.acknowledge({ normal: storedUpTo(sequence) });
      await buffer.stats();
      if (round % 20 === 0) highest = Math.max(highest, statSync(buffer.file).size);
    }
    expect(highest).toBeLessThan(20_000_000);
    expect(statSync(`${buffer.file}-wal`).size).toBeLessThan(20_000_000);
    await assertLedger(buffer);
  });

  it("gives a drained backlog's room back to the disk, with nothing more to acknowledge", async () => {
    const buffer = await openBuffer();
    for (let at = 0; at < 600; at += 50) await buffer.append(itemsOf(at, 50, { bytes: 100_000 }));
    await buffer.acknowledge({ normal: storedUpTo(600) });
    await expect
      .poll(() => statSync(buffer.file).size, { timeout: 60_000 })
      .toBeLessThan(30_000_000);
    await assertLedger(buffer);
  });

  it("is one process's: a second opening is refused, and free again when the first is gone", async () => {
    const first = await openBuffer();
    const second = new SqliteBuffer(optionsOf());
    await expect(second.start()).rejects.toMatchObject({ kind: "DISK_LOCKED" });
    await first.stop(AbortSignal.timeout(5_000));
    await openBuffer();
  });

  it("lies in a folder that only its owner can enter", async () => {
    const own = join(directory, "own");
    await openBuffer({ directory: own });
    expect(statSync(own).mode & 0o777).toBe(0o700);
  });

  it("is one agent's", async () => {
    await (await openBuffer()).stop(AbortSignal.timeout(5_000));
    const other = new SqliteBuffer(optionsOf({ agentId: "agent-2" }));
    await expect(other.start()).rejects.toMatchObject({ kind: "CONFIG_INVALID" });
  });

  it("never expires events by a clock that was not corrected, and follows one that jumps", async () => {
    const buffer = await openBuffer({
      limits: { bytesMax: 1e7, whenFull: "reject", ttlMs: { normal: 60_000 } },
    });
    await buffer.append(itemsOf(1, 10));
    const future = Date.UTC(2030, 0, 1);
    expect(idsOf(await readAll(buffer, "normal"))).toHaveLength(10);
    expect(gapsOf(await readAll(buffer, "normal", { nowMs: future }))).toHaveLength(1);
    await assertLedger(buffer);
    await buffer.append(itemsOf(11, 5));
    expect(idsOf(await readAll(buffer, "normal", { nowMs: Date.UTC(1970, 0, 2) }))).toHaveLength(5);
    await assertLedger(buffer);
  });
});

describe("a damaged edge buffer", () => {
  it("is replaced at start and salvaged under its old identity, what is unreadable as damaged gaps", async () => {
    const before = await openBuffer();
    const oldEpoch = before.epoch;
    await fill(before, 1, 100);
    await before.acknowledge({ normal: storedUpTo(210) });
    await before.stats();
    await before.stop(AbortSignal.timeout(5_000));
    const middle = Math.floor(statSync(before.file).size / 2 / 4096) * 4096;
    overwrite(before.file, middle, 3 * 4096);

    const buffers = await openAll();
    // Damage in the middle is found by the reader.
    await readAll(buffers.current, "normal", { after: 210 }).catch((error: unknown) => {
      expect(MeshError.is(error, "BUFFER_DAMAGED")).toBe(true);
    });
    const salvaged = await salvagedOf(buffers);
    expect(salvaged.epoch).toBe(oldEpoch);
    expect(buffers.current.epoch).not.toBe(oldEpoch);
    expect(buffers.damages).toHaveLength(1);
    const segments = await readAll(salvaged, "normal", { after: 210 });
    const gaps = gapsOf(segments);
    expect(gaps.length).toBeGreaterThan(0);
    expect(gaps.every((gap) => gap.reason === "damaged")).toBe(true);
    const lost = gaps.reduce((sum, gap) => sum + gap.last - gap.first + 1, 0);
    expect(lost).toBeLessThanOrEqual(80);
    expect(idsOf(segments)).toHaveLength(2_000 - 210 - lost);
    await assertLedger(salvaged);
    await expect(salvaged.append(itemsOf(1, 1))).rejects.toMatchObject({ kind: "STOPPING" });

    await buffers.current.append(itemsOf(9_001, 3));
    const done = { ...emptyWatermark, sequence: 2_000, stored: 2_000 - lost, damaged: lost };
    expect(buffers.retired.normal).toEqual(emptyWatermark);
    await salvaged.acknowledge({ normal: done });
    await vi.waitUntil(() => buffers.salvaged.length === 0, { timeout: 10_000 });
    expect(buffers.retired.normal).toEqual(done);
    await vi.waitUntil(() => readdirSync(directory).every((name) => !/damaged|salvage/.test(name)));
    expect(idsOf(await readAll(buffers.current, "normal"))).toHaveLength(3);
    await buffers.stop(AbortSignal.timeout(5_000));
    expect((await openAll()).retired.normal).toEqual(done);
  });

  it("is in the ledger once, where a crash came before its files were gone", async () => {
    const before = await openBuffer();
    await fill(before, 1, 10);
    await before.stop(AbortSignal.timeout(5_000));
    overwrite(before.file, 0, 100);
    const first = new AgentBuffers(optionsOf());
    await first.start();
    await salvagedOf(first);
    await first.stop(AbortSignal.timeout(5_000));
    const done = { ...emptyWatermark, sequence: 200, stored: 200 };
    const counts = { critical: emptyWatermark, normal: done, bulk: emptyWatermark };
    new RetiredEpochs(join(directory, "retired.json")).add(before.epoch, counts);

    const second = await openAll();
    const salvaged = await salvagedOf(second);
    expect(second.retired.normal).toEqual(emptyWatermark);
    await salvaged.acknowledge({ normal: done });
    await vi.waitUntil(() => readdirSync(directory).every((name) => !/damaged|salvage/.test(name)));
    expect(second.salvaged).toEqual([]);
    expect(second.retired).toEqual(counts);
  });

  it("is found again after a restart in the midst of the salvage", async () => {
    const before = await openBuffer();
    await fill(before, 1, 60);
    await before.stop(AbortSignal.timeout(5_000));
    overwrite(before.file, 0, 100);
    const first = new AgentBuffers(optionsOf());
    await first.start();
    await first.stop(AbortSignal.timeout(5_000));
    const second = await openAll();
    const salvaged = await salvagedOf(second);
    expect(salvaged.epoch).toBe(before.epoch);
    expect(idsOf(await readAll(salvaged, "normal"))).toHaveLength(1_200);
    await assertLedger(salvaged);
  });

  it("starts afresh beside a file that is no database at all", async () => {
    mkdirSync(directory, { recursive: true });
    const handle = openSync(join(directory, "buffer.db"), "w");
    writeSync(handle, Buffer.alloc(50_000, 7));
    closeSync(handle);
    const buffers = await openAll();
    await buffers.current.append(itemsOf(9_001, 1));
    expect(buffers.damages).toHaveLength(1);
    expect(readdirSync(directory).some((name) => name.includes("damaged"))).toBe(true);
  });
});

/** A disk of a few megabytes; undefined where this user may not mount. */
function mountSmall(path: string, size: string): boolean {
  mkdirSync(path, { recursive: true });
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", `size=${size}`, "tmpfs", path], {
      stdio: "ignore",
    });
    return true;
  } catch {
    return false;
  }
}

describe("the edge buffer on a bad disk", () => {
  const disk = (): string => join(directory, "disk");
  afterEach(() => {
    if (existsSync(disk())) execFileSync("umount", ["-l", disk()], { stdio: "ignore" });
  });

  const isTaken = async (buffer: SqliteBuffer): Promise<boolean> =>
    buffer.append(itemsOf(999_999, 1)).then(
      () => true,
      () => false,
    );

  it("refuses while the disk is full, deletes all the same, and goes on by itself", async (context) => {
    if (!mountSmall(disk(), "8m")) return context.skip("mounting a tmpfs is not permitted");
    const buffer = await openBuffer({
      directory: disk(),
      reserveBytes: 2 * 1024 * 1024,
      ackDelayMs: 10,
    });
    let taken = 0;
    let refusal: unknown;
    while (refusal === undefined) {
      try {
        await buffer.append(itemsOf(taken + 1, 20, { bytes: 2_000 }));
        taken += 20;
      } catch (error) {
        refusal = error;
      }
    }
    expect(refusal).toMatchObject({ kind: "BUFFER_UNAVAILABLE", retryable: true });
    expect((await buffer.stats()).unavailable).toBeDefined();
    expect(idsOf(await readAll(buffer, "normal"))).toHaveLength(taken);
    await assertLedger(buffer);
    const half = Math.floor(taken / 2);
    await buffer.acknowledge({ normal: storedUpTo(half) });
    await vi.waitUntil(() => isTaken(buffer), { timeout: 20_000, interval: 100 });
    expect(idsOf(await readAll(buffer, "normal", { after: half }))).toHaveLength(taken - half + 1);
    await assertLedger(buffer);
  });

  it("says so when it starts on a read-only disk, and starts when the disk is writable again", async (context) => {
    if (!mountSmall(disk(), "32m")) return context.skip("mounting a tmpfs is not permitted");
    const first = await openBuffer({ directory: disk() });
    await fill(first, 1, 20);
    await first.stop(AbortSignal.timeout(5_000));
    execFileSync("mount", ["-o", "remount,ro", disk()], { stdio: "ignore" });
    const refused = new SqliteBuffer(optionsOf({ directory: disk() }));
    await expect(refused.start()).rejects.toMatchObject({
      kind: "BUFFER_UNAVAILABLE",
      retryable: true,
    });
    execFileSync("mount", ["-o", "remount,rw", disk()], { stdio: "ignore" });
    const second = await openBuffer({ directory: disk() });
    expect(second.epoch).toBe(first.epoch);
    expect(await isTaken(second)).toBe(true);
    expect(idsOf(await readAll(second, "normal"))).toHaveLength(401);
    await assertLedger(second);
  });
});
