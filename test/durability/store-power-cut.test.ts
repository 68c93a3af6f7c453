import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createLogger, seededChance } from "@fleetmesh/core";
import { openSqliteStore } from "@fleetmesh/cloud-runtime";
import { powerCutMissing, startUnderPowerCut, type PowerCutRun } from "./powercut/power-cut.ts";
import { StoreOutside } from "./store-outside.ts";

const script = join(import.meta.dirname, "store-writer.mjs");
const missing = powerCutMissing();
const logger = createLogger({ part: "test", level: "silent" });

/** Opens what the cut left, on a copy so that the next life has to recover by itself, and compares. */
async function inspect(directory: string, outside: StoreOutside): Promise<number> {
  const dir = `${directory}.copy`;
  await rm(dir, { recursive: true, force: true });
  await cp(directory, dir, { recursive: true });
  const store = openSqliteStore({ dir, region: "cn-east", logger });
  await store.part.start();
  try {
    return await outside.missingIn(store);
  } finally {
    await store.part.stop(AbortSignal.timeout(5_000));
  }
}

/** Lets the program work for a while that the seed chooses; now and then not even until it has started. */
async function letRun(run: PowerCutRun, seed: number): Promise<void> {
  const chance = seededChance(seed);
  if (chance.float() < 0.15) return delay(chance.float() * 400);
  while (!run.output().includes("C ")) {
    if (run.child.exitCode !== null) throw new Error(`The writer ended: ${run.errors()}`);
    await delay(10);
  }
  await delay(10 + chance.float() * 300);
}

/** One life of the writer, up to its cut. */
async function live(
  life: { directory: string; seed: number; synchronous: "FULL" | "OFF" },
  outside: StoreOutside,
): Promise<void> {
  const { directory, seed, synchronous } = life;
  const args = [directory, String(seed), synchronous];
  const run = startUnderPowerCut({ script, args, directory });
  await letRun(run, seed);
  await run.cut(seed);
  outside.hear(run.output());
  expect(run.errors()).toBe("");
}

describe.skipIf(missing)(
  `power cuts under the region's store${missing ? ` (${missing})` : ""}`,
  () => {
    let root = "";
    beforeAll(async () => {
      root = await mkdtemp(join(tmpdir(), "fleetmesh-store-power-"));
    });
    afterAll(() => rm(root, { recursive: true, force: true }));

    for (const chain of [1, 2, 3])
      it(`loses nothing acknowledged and keeps everything whole over 9 cuts, chain ${chain}`, async () => {
        const outside = new StoreOutside();
        const directory = join(root, `chain-${chain}`);
        for (let cut = 1; cut <= 9; cut += 1) {
          const seed = chain * 100 + cut;
          try {
            await live({ directory, seed, synchronous: "FULL" }, outside);
            expect(await inspect(directory, outside)).toBe(0);
          } catch (cause) {
            throw new Error(`chain ${chain} failed at seed ${seed}`, { cause });
          }
        }
        expect(outside.agents.get("car-1")).toBeGreaterThan(100);
        expect(outside.direct.size).toBeGreaterThan(100);
        expect(outside.committed).toBeGreaterThan(20);
      });

    it("loses what was acknowledged when nothing is synced: the layer does take the power away", async () => {
      let harmed = 0;
      for (let seed = 901; seed <= 906; seed += 1) {
        const directory = join(root, `off-${seed}`);
        const outside = new StoreOutside();
        await live({ directory, seed, synchronous: "OFF" }, outside);
        // Worse than lost events: the file does not open any more, or holds half of what belongs together.
        const lost = await inspect(directory, outside).catch(() => 1);
        if (lost > 0) harmed += 1;
      }
      expect(harmed).toBeGreaterThanOrEqual(4);
    });
  },
);
