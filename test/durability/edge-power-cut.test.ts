import { cpSync, mkdirSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  createLogger,
  emptyWatermark,
  eventClasses,
  MeshError,
  seededChance,
  systemClock,
  type BlockEntry,
  type ClassWatermark,
  type EventClass,
  type MeshEvent,
} from "@fleetmesh/core";
import { SqliteBuffer, type AppendItem } from "@fleetmesh/edge-agent";
import { assertLedger, readAll } from "../contract/buffer-events.ts";
import { powerCutMissing, startUnderPowerCut, type PowerCutRun } from "./powercut/power-cut.ts";

const script = join(import.meta.dirname, "edge-writer.mjs");
const missing = powerCutMissing();
const logger = createLogger({ part: "test", level: "silent" });
const roomy = 256 * 1024 * 1024;

/** What the world outside the vehicle knows: it does not forget when the vehicle's power goes. */
class Outside {
  readonly acknowledged = new Set<string>();
  readonly region: Partial<Record<EventClass, ClassWatermark>> = {};
  readonly delivered = new Set<string>();
  readonly #idOf = new Map<string, string>();
  readonly #sequenceOf = new Map<string, string>();
  epoch: string | undefined;

  /** Well within the window of repeats. */
  get lastAcknowledged(): string[] {
    return [...this.acknowledged].slice(-2_000);
  }

  hear(output: string): void {
    const lines = output.split("\n");
    // The kill may have torn the last line.
    lines.pop();
    for (const line of lines) {
      const [kind, one = "", two = "", three = ""] = line.split(" ");
      if (kind === "A") for (const id of one.split(",")) this.acknowledged.add(id);
      if (kind === "E") this.assertEpoch(one);
      if (kind === "D")
        for (const [index, id] of three.split(",").entries()) {
          this.saw(`${one} ${Number(two) + index}`, id);
          this.delivered.add(id);
        }
      if (kind === "W") this.region[one as EventClass] = JSON.parse(two) as ClassWatermark;
    }
  }

  /** An epoch may only change as long as nothing was promised in it. */
  assertEpoch(epoch: string): void {
    if (this.acknowledged.size > 0 || this.delivered.size > 0) expect(epoch).toBe(this.epoch);
    this.epoch = epoch;
  }

  sawAll(eventClass: EventClass, entries: readonly BlockEntry[]): void {
    for (const { sequence, event } of entries) this.saw(`${eventClass} ${sequence}`, event.id);
  }

  saw(place: string, id: string): void {
    const known = this.#idOf.get(place);
    if (known !== undefined && known !== id)
      throw new Error(`The number ${place} was given to ${known} and to ${id}`);
    const elsewhere = this.#sequenceOf.get(id);
    if (elsewhere !== undefined && elsewhere !== place)
      throw new Error(`The event ${id} is stored as ${elsewhere} and as ${place}`);
    this.#idOf.set(place, id);
    this.#sequenceOf.set(id, place);
  }
}

interface Findings {
  readonly lost: number;
  readonly evicted: number;
}

/** An event as edge-writer.mjs made it. */
function writtenItem(id: string): AppendItem {
  const made = Number(id.split("-")[1]);
  const bytes = Math.floor((((made * 7_919) % 997) / 997) ** 3 * 8_000);
  const event: MeshEvent = {
    id,
    source: "urn:v",
    type: "t",
    subject: undefined,
    time: undefined,
    datacontenttype: undefined,
    dataschema: undefined,
    extensions: [],
    data: Buffer.alloc(bytes, made % 251),
    dataKind: "binary",
  };
  const entry = { topic: "t", receivedMs: 0, event };
  return { eventClass: "normal", expiresMs: undefined, entry };
}

/** What the writer was last told is durable, or had handed on, is sent again after the cut: nothing of it is stored twice. */
async function assertKnown(buffer: SqliteBuffer, outside: Outside): Promise<void> {
  const { classes } = await buffer.stats();
  await buffer.append(outside.lastAcknowledged.map(writtenItem));
  const after = (await buffer.stats()).classes;
  for (const eventClass of eventClasses)
    expect(after[eventClass].produced, eventClass).toBe(classes[eventClass].produced);
}

/** Opens what the cut left, on a copy so that the next life has to recover by itself, and compares. */
async function inspect(directory: string, outside: Outside, bytesMax: number): Promise<Findings> {
  const copy = `${directory}.copy`;
  await rm(copy, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true });
  cpSync(directory, copy, { recursive: true });
  const limits = { bytesMax, whenFull: "evict-lowest-class" } as const;
  const chance = { ...seededChance(1), hex64: () => outside.epoch ?? "0".repeat(16) };
  const clock = systemClock;
  const options = { directory: copy, agentId: "agent-1", limits, clock, chance, logger };
  const buffer = new SqliteBuffer({ ...options, reserveBytes: 0 });
  await buffer.start();
  try {
    outside.assertEpoch(buffer.epoch);
    const present = new Set<string>();
    let evicted = 0;
    for (const eventClass of eventClasses) {
      const region = outside.region[eventClass] ?? emptyWatermark;
      evicted += region.evicted;
      for (const one of await readAll(buffer, eventClass, { after: region.sequence })) {
        if (one.kind === "gap") evicted += one.last - one.first + 1;
        else outside.sawAll(eventClass, one.entries);
        if (one.kind === "events") for (const { event } of one.entries) present.add(event.id);
      }
    }
    await assertLedger(buffer);
    const { classes } = await buffer.stats();
    await assertKnown(buffer, outside);
    for (const eventClass of eventClasses) {
      const region = outside.region[eventClass]?.sequence ?? 0;
      expect(classes[eventClass].confirmed.sequence).toBeLessThanOrEqual(region);
      expect(classes[eventClass].produced).toBeGreaterThanOrEqual(region);
    }
    const isLost = (id: string): boolean => !present.has(id) && !outside.delivered.has(id);
    const lost = [...outside.acknowledged].filter(isLost).length;
    return { lost, evicted };
  } finally {
    await buffer.stop(AbortSignal.timeout(5_000));
  }
}

/** Lets the program work for a while that the seed chooses; now and then not even until it has started. */
async function letRun(run: PowerCutRun, seed: number): Promise<void> {
  const chance = seededChance(seed);
  if (chance.float() < 0.15) return delay(chance.float() * 250);
  while (!run.output().includes("A ")) {
    if (run.child.exitCode !== null) throw new Error(`The writer ended: ${run.errors()}`);
    await delay(10);
  }
  await delay(10 + chance.float() * 200);
}

interface Life {
  readonly directory: string;
  readonly seed: number;
  readonly bytesMax: number;
  readonly durability: "full" | "off";
}

async function live(life: Life, outside: Outside): Promise<Findings> {
  const { directory, seed, bytesMax, durability } = life;
  const region = JSON.stringify(outside.region);
  const args = [directory, String(seed), durability, String(bytesMax), region];
  const run = startUnderPowerCut({ script, args, directory });
  await letRun(run, seed);
  await run.cut(seed);
  outside.hear(run.output());
  expect(run.errors()).toBe("");
  return inspect(directory, outside, bytesMax);
}

describe.skipIf(missing)(
  `power cuts under the edge buffer${missing ? ` (${missing})` : ""}`,
  () => {
    let root = "";
    beforeAll(async () => {
      root = await mkdtemp(join(tmpdir(), "fleetmesh-power-"));
    });
    afterAll(() => rm(root, { recursive: true, force: true }));

    for (const chain of [1, 2, 3, 4])
      it(`loses nothing acknowledged over 13 cuts in a row, chain ${chain}`, async () => {
        const outside = new Outside();
        const directory = join(root, `chain-${chain}`);
        const bytesMax = chain === 4 ? 2 * 1024 * 1024 : roomy;
        for (let cut = 1; cut <= 13; cut += 1) {
          const seed = chain * 100 + cut;
          try {
            const { lost, evicted } = await live(
              { directory, seed, bytesMax, durability: "full" },
              outside,
            );
            if (chain === 4) expect(lost).toBeLessThanOrEqual(evicted);
            else expect(lost).toBe(0);
          } catch (cause) {
            throw new Error(`chain ${chain} failed at seed ${seed}`, { cause });
          }
        }
        expect(outside.acknowledged.size).toBeGreaterThan(1_000);
        expect(outside.delivered.size).toBeGreaterThan(500);
      });

    it("loses events when nothing is synced: the layer does take the power away", async () => {
      let harmed = 0;
      for (let seed = 901; seed <= 906; seed += 1) {
        const outside = new Outside();
        const directory = join(root, `off-${seed}`);
        try {
          const { lost } = await live(
            { directory, seed, bytesMax: roomy, durability: "off" },
            outside,
          );
          if (lost > 0) harmed += 1;
        } catch (error) {
          // Worse than lost events: the file does not open any more, or an older state of it came back.
          if (MeshError.is(error) || error instanceof Error) harmed += 1;
        }
      }
      expect(harmed).toBeGreaterThanOrEqual(4);
    });
  },
);
