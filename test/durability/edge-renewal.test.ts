import { readdirSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  createLogger,
  eventClasses,
  MeshError,
  systemChance,
  systemClock,
  type BlockEntry,
} from "@fleetmesh/core";
import { openBuffers, type Buffers, type EventBuffer } from "@fleetmesh/edge-agent";
import { powerCutMissing, startUnderPowerCut, type PowerCutRun } from "./powercut/power-cut.ts";

const script = join(import.meta.dirname, "edge-renewer.mjs");
const missing = powerCutMissing();
const logger = createLogger({ part: "test", level: "silent" });
/** RENEWAL_STEPS=all stops behind each of them; else behind every third, from another one on for each ending. */
const stride = process.env["RENEWAL_STEPS"] === "all" ? 1 : 3;
const offsets = { kill: 1, cut: Math.min(stride, 2) } as const;
const stepsMax = 400;

let home: string;
beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), "fleetmesh-renewal-"));
});
afterAll(() => rm(home, { recursive: true, force: true }));

/** What the world outside knows of the buffer before its renewal. */
interface Told {
  readonly epoch: string;
  readonly acknowledged: readonly string[];
  readonly confirmed: ReadonlySet<string>;
  /** What the region has of each epoch and class. */
  readonly region: Map<string, number>;
  readonly isOver: boolean;
}

function toldBy(run: PowerCutRun): Told {
  const lines = run.output().split("\n");
  lines.pop(); // The kill may have torn it.
  const of = (kind: string) => lines.filter((line) => line.startsWith(`${kind} `));
  const acknowledged = of("A").flatMap((line) => line.slice(2).split(","));
  const epoch = of("E")[0]?.slice(2) ?? "";
  const region = new Map<string, number>();
  const confirmed = of("W").flatMap((line) => {
    const [, eventClass = "", sequence] = line.split(" ");
    region.set(`${epoch} ${eventClass}`, Number(sequence));
    const ofClass = acknowledged.filter((id) => id.startsWith(eventClass));
    return ofClass.slice(0, Number(sequence));
  });
  const isOver = lines.includes("D");
  return { epoch, acknowledged, confirmed: new Set(confirmed), region, isOver };
}

interface Drained {
  readonly epoch: string;
  readonly entry: BlockEntry;
}

/** Opens what is left, takes everything out as the region would, and waits until nothing lies aside. */
async function drain(directory: string, region: Map<string, number>): Promise<Drained[]> {
  const buffers = await openBuffers({
    directory,
    agentId: "agent-1",
    limits: { bytesMax: 64 * 1024 * 1024, whenFull: "reject" },
    clock: systemClock,
    chance: systemChance,
    logger,
    reserveBytes: 65_536,
  });
  const drained: Drained[] = [];
  try {
    while (!(await isEmpty(buffers, directory))) {
      for (const buffer of [...buffers.salvaged, buffers.current])
        await takeOut(buffer, { region, drained }).catch(unlessGone);
      await delay(5);
    }
  } finally {
    await buffers.stop(AbortSignal.timeout(5_000));
  }
  return drained;
}

async function isEmpty({ salvaged, current }: Buffers, directory: string): Promise<boolean> {
  if (salvaged.length > 0 || current.epoch === "") return false;
  if (readdirSync(directory).some((name) => /damaged-\d+$|salvage|moving/.test(name))) return false;
  const { classes } = await current.stats();
  return eventClasses.every((name) => classes[name].confirmed.sequence === classes[name].produced);
}

/** A salvaged buffer that is drained goes while it is looked at. */
function unlessGone(error: unknown): void {
  if (!MeshError.is(error, "STOPPING")) throw error;
}

/** From where the region has it, without a hole; a buffer that takes more for confirmed would never send it. */
async function takeOut(
  buffer: EventBuffer,
  { region, drained }: { region: Map<string, number>; drained: Drained[] },
): Promise<void> {
  const { epoch } = buffer;
  if (epoch === "") return;
  for (const eventClass of eventClasses) {
    const { confirmed, produced } = (await buffer.stats()).classes[eventClass];
    if (produced === confirmed.sequence) continue;
    const bounds = { countMax: 1_000, bytesMax: 1e9, nowMs: undefined };
    const key = `${epoch} ${eventClass}`;
    const after = region.get(key) ?? 0;
    expect(confirmed.sequence).toBeLessThanOrEqual(after);
    let next = after + 1;
    for (const segment of await buffer.read({ eventClass, after, ...bounds })) {
      expect(segment.first).toBe(next);
      next = segment.kind === "gap" ? segment.last + 1 : next + segment.entries.length;
      if (segment.kind === "events")
        drained.push(...segment.entries.map((entry) => ({ epoch, entry })));
    }
    expect(next - 1).toBe(produced);
    region.set(key, produced);
    const stored = confirmed.stored + produced - confirmed.sequence;
    await buffer.acknowledge({ [eventClass]: { ...confirmed, sequence: produced, stored } });
  }
}

function assertWhole(drained: readonly Drained[], told: Told): void {
  const ids = drained.map(({ entry }) => entry.event.id);
  expect(new Set(ids).size, "each comes once").toBe(ids.length);
  const owed = told.acknowledged.filter((id) => !told.confirmed.has(id));
  expect(owed.filter((id) => !ids.includes(id))).toEqual([]);
  expect(ids.filter((id) => told.confirmed.has(id))).toEqual([]);
  for (const eventClass of eventClasses) {
    const wanted = owed.filter((id) => id.startsWith(eventClass));
    expect(ids.filter((id) => wanted.includes(id))).toEqual(wanted);
  }
  const ofOld = drained.filter(({ epoch }) => epoch === told.epoch);
  if (told.isOver) expect(ofOld).toEqual([]);
  // Under one of the two, never torn between them.
  const epochs = new Set(
    drained.filter(({ entry }) => owed.includes(entry.event.id)).map(({ epoch }) => epoch),
  );
  expect(epochs.size).toBeLessThanOrEqual(told.acknowledged.includes("fresh-0") ? 2 : 1);
}

async function renewUntil(step: number, ending: "kill" | "cut"): Promise<boolean> {
  const directory = join(home, `${ending}-${step}`);
  const run = startUnderPowerCut({ script, args: [directory], directory, step });
  const progress = { hasEnded: false };
  void run.ended.then(() => (progress.hasEnded = true));
  while (!progress.hasEnded && !toldBy(run).isOver) await delay(10);
  const told = toldBy(run);
  expect(run.errors()).toBe("");
  if (ending === "cut") await run.cut(step);
  else {
    run.child.kill("SIGKILL");
    await run.ended;
  }
  assertWhole(await drain(directory, told.region), told);
  return told.isOver;
}

describe.skipIf(missing !== undefined)(`a renewal of a buffer's epoch ${missing ?? ""}`, () => {
  it.each(["kill", "cut"] as const)(
    "loses nothing and repeats nothing, whichever durable step a %s comes behind",
    { timeout: 300_000 },
    async (ending) => {
      let step: number = offsets[ending];
      while (step < stepsMax && !(await renewUntil(step, ending))) step += stride;
      expect(step).toBeGreaterThan(20);
      expect(step).toBeLessThan(stepsMax);
    },
  );
});
