import { serialize } from "node:v8";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  createLogger,
  emptyWatermark,
  noExtensions,
  seededChance,
  SimulatedClock,
  type EventClass,
} from "@fleetmesh/core";
import { MemoryBuffer } from "../src/buffer/memory-buffer.ts";
import { MemoryLink } from "../src/uplink/memory-link.ts";
import type { UplinkCount } from "../src/uplink/uplink-counts.ts";
import { uplinkLimitsDefault, type UplinkLimits } from "../src/uplink/uplink-limits.ts";
import { Uplink } from "../src/uplink/uplink.ts";
import { ScriptedRegion } from "./scripted-region.ts";

const chance = seededChance(7);
const logger = createLogger({ part: "test", level: "silent" });
const bufferLimits = { bytesMax: 100_000_000, whenFull: "reject" as const };

let clock: SimulatedClock;
let region: ScriptedRegion;
let link: MemoryLink;
let buffer: MemoryBuffer;
let uplink: Uplink | undefined;
let counts: Map<UplinkCount, number>;
let bytes: Map<string, number>;

beforeEach(async () => {
  clock = new SimulatedClock();
  region = new ScriptedRegion(clock);
  link = new MemoryLink({ region, clock, chance, keepaliveMs: 10_000 });
  buffer = await newBuffer();
  counts = new Map();
  bytes = new Map();
});

afterEach(async () => {
  const stopped = uplink?.stop(AbortSignal.abort());
  await clock.advance(100);
  await stopped;
  uplink = undefined;
});

async function newBuffer(limits: object = {}): Promise<MemoryBuffer> {
  const made = new MemoryBuffer({
    agentId: "v1",
    limits: { ...bufferLimits, ...limits },
    clock,
    chance,
  });
  await made.start();
  return made;
}

async function startUplink(
  limits: Partial<UplinkLimits> = {},
  salvaged: MemoryBuffer[] = [],
): Promise<Uplink> {
  const source = { current: buffer, salvaged, onChanged: () => undefined };
  uplink = new Uplink(
    source,
    { ...uplinkLimitsDefault, ...limits },
    {
      link,
      clock,
      chance,
      logger,
      observer: {
        sent: (shares) => {
          for (const [topic, count] of shares) bytes.set(topic, (bytes.get(topic) ?? 0) + count);
        },
        count: (what, by) => void counts.set(what, (counts.get(what) ?? 0) + by),
      },
      encode: serialize,
      onCommand: () => undefined,
      onRefused: () => undefined,
    },
  );
  await uplink.start();
  return uplink;
}

let idCount = 0;

async function append(
  eventClass: EventClass,
  count: number,
  { to = buffer, size = 10 } = {},
): Promise<void> {
  const items = Array.from({ length: count }, () => ({
    eventClass,
    expiresMs: undefined,
    entry: {
      topic: `test.${eventClass}`,
      receivedMs: clock.wallMs(),
      event: {
        id: `${(idCount += 1)}`,
        source: "/s",
        type: "t",
        subject: undefined,
        time: undefined,
        datacontenttype: undefined,
        dataschema: undefined,
        extensions: noExtensions,
        data: Buffer.alloc(size),
        dataKind: "binary" as const,
      },
    },
  }));
  await to.append(items);
}

const confirmed = async (eventClass: EventClass, of = buffer) =>
  (await of.stats()).classes[eventClass].confirmed;
const upTo = (sequence: number) => Array.from({ length: sequence }, (_, at) => at + 1);

describe("Uplink", () => {
  it("sends nothing before the region has answered the hello", async () => {
    await append("normal", 3);
    region.isMute = true;
    await startUplink();
    await clock.advance(1_000);
    expect(region.hellos).toEqual([buffer.epoch]);
    expect(region.batches).toEqual([]);
  });

  it("goes on behind the watermark that the region answers with", async () => {
    await append("normal", 5);
    const stored = { ...emptyWatermark, sequence: 3, stored: 3 };
    region.watermarks.set(`${buffer.epoch}/normal`, stored);
    await startUplink();
    await clock.advance(1_000);
    expect(region.sequences("normal")).toEqual([4, 5]);
  });

  it("keeps events that were taken but not acknowledged, and sends them again after a while", async () => {
    await append("normal", 3);
    await startUplink({ ackTimeoutMs: 2_000 });
    await clock.advance(50);
    region.isMute = true;
    await append("normal", 2);
    await clock.advance(500);
    expect(region.sequences("normal")).toEqual([1, 2, 3, 4, 5]);
    expect((await confirmed("normal")).sequence).toBe(3);
    region.isMute = false;
    await clock.advance(5_000);
    expect((await confirmed("normal")).sequence).toBe(5);
    expect(counts.get("resends")).toBeGreaterThan(0);
  });

  it("sends from the watermark again when the region refuses a batch, one batch at a time until it passes", async () => {
    let refusals = 3;
    region.admit = ({ first }) => first !== 11 || refusals-- <= 0;
    await append("normal", 50);
    await startUplink({ batchEventsMax: 10 });
    await clock.advance(10_000);
    expect(await confirmed("normal")).toEqual({ ...emptyWatermark, sequence: 50, stored: 50 });
    expect(counts.get("rewinds")).toBe(1);
    // Four in flight behind the refused one, three tries of it, then the rest.
    expect(region.batches.length).toBeLessThan(20);
  });

  it("does not spin when it is told to rewind and has nothing left to send", async () => {
    await append("normal", 2);
    await startUplink();
    await clock.advance(1_000);
    region.say(region.peer, { epoch: buffer.epoch, rewind: ["normal"] });
    await clock.advance(1_000);
    await append("normal", 1);
    await clock.advance(1_000);
    expect((await confirmed("normal")).sequence).toBe(3);
  });

  it("lets a live event of a higher class overtake a backlog at the next free place", async () => {
    await append("bulk", 5_000);
    await startUplink({ batchEventsMax: 50, windowBatchesMax: 4 });
    await clock.advance(20);
    const before = region.batches.length;
    await append("critical", 1);
    await clock.advance(12);
    const position = region.batches.findIndex(({ eventClass }) => eventClass === "critical");
    expect(position).toBeGreaterThanOrEqual(before);
    expect(position - before).toBeLessThanOrEqual(24);
    expect(region.sequences("bulk").length).toBeLessThan(5_000);
    await clock.advance(5_000);
    expect(region.sequences("bulk")).toEqual(upTo(5_000));
  });

  it("keeps a place for a higher class while a lower one fills its share of the window", async () => {
    await append("bulk", 1_000);
    await startUplink({ batchEventsMax: 10, windowBatchesMax: 5 });
    await clock.advance(5);
    region.isTaking = false;
    await clock.advance(100);
    region.batches.length = 0;
    region.isTaking = true;
    await append("critical", 1);
    await clock.advance(50);
    expect(region.sequences("critical")).toEqual([1]);
  });

  it("waits a little for company when live, so that events share a batch", async () => {
    await startUplink({ lingerMs: 50 });
    await clock.advance(200);
    for (let at = 0; at < 5; at += 1) {
      await append("normal", 1);
      await clock.advance(5);
    }
    await clock.advance(200);
    expect(region.sequences("normal")).toEqual([1, 2, 3, 4, 5]);
    expect(region.batches.length).toBe(1);
  });

  it("never has more on its way than the region's credit and its own window allow", async () => {
    region.creditBytes = 3_000;
    await append("normal", 200, { size: 100 });
    const running = await startUplink({ batchBytesMax: 1_000 });
    region.isTaking = false;
    await clock.advance(2_000);
    const { inFlightBytes, inFlightBatches } = running.status();
    expect(inFlightBatches).toBeGreaterThan(0);
    expect(inFlightBytes).toBeLessThan(3_000 + 3_000);
  });

  it("gives up a connection whose batches are not taken, and brings all over the next one", async () => {
    await append("normal", 10);
    region.isTaking = false;
    await startUplink({ takenTimeoutMs: 3_000 });
    await clock.advance(3_000);
    expect(region.connectionCount).toBe(1);
    region.isTaking = true;
    await clock.advance(10_000);
    expect(region.connectionCount).toBe(2);
    expect((await confirmed("normal")).sequence).toBe(10);
  });

  it("gives a single large event the time that it takes on a slow uplink, and no more", async () => {
    await append("normal", 1, { size: 10_000_000 });
    region.isTaking = false;
    await startUplink({ takenTimeoutMs: 3_000 });
    await clock.advance(145_000);
    expect(region.connectionCount).toBe(1);
    await clock.advance(20_000);
    expect(region.connectionCount).toBe(2);
  });

  it("drains a salvaged buffer under its own epoch beside the current one", async () => {
    const old = await newBuffer();
    await append("normal", 4, { to: old });
    await append("normal", 2);
    await startUplink({}, [old]);
    await clock.advance(1_000);
    expect(region.hellos).toEqual([old.epoch, buffer.epoch]);
    expect((await confirmed("normal", old)).sequence).toBe(4);
    expect((await confirmed("normal")).sequence).toBe(2);
    expect(region.batches[0]?.epoch).toBe(old.epoch);
  });

  it("reports what the region lost after confirming it as damaged, counts it, and goes on", async () => {
    await append("normal", 10);
    await startUplink();
    await clock.advance(1_000);
    expect((await confirmed("normal")).sequence).toBe(10);
    region.watermarks.set(`${buffer.epoch}/normal`, { ...emptyWatermark, sequence: 4, stored: 4 });
    link.cut("the region was restored from a backup");
    await append("normal", 1);
    await clock.advance(5_000);
    expect(await confirmed("normal")).toEqual({
      ...emptyWatermark,
      sequence: 11,
      stored: 5,
      damaged: 6,
    });
    expect(counts.get("lost")).toBe(6);
  });

  it("does not use an epoch further when the region knows more of it than was given out", async () => {
    await append("normal", 2);
    region.watermarks.set(`${buffer.epoch}/normal`, { ...emptyWatermark, sequence: 9, stored: 9 });
    const running = await startUplink();
    await clock.advance(1_000);
    expect(region.batches).toEqual([]);
    expect(running.status().refused).toMatchObject([{ code: "MESH-5006", epoch: buffer.epoch }]);
  });

  it("asks again, ever later, when the region refuses its epoch, and goes on when it is served", async () => {
    await append("normal", 2);
    region.refusal = { code: "MESH-5006", reason: "cloned" };
    const running = await startUplink({ refusedRetry: { initialMs: 1_000, maxMs: 8_000 } });
    await clock.advance(120_000);
    expect(region.hellos.length).toBeGreaterThan(8);
    expect(region.hellos.length).toBeLessThan(120);
    expect(region.batches).toEqual([]);
    region.refusal = undefined;
    await clock.advance(20_000);
    expect(running.status().refused).toEqual([]);
    expect((await confirmed("normal")).sequence).toBe(2);
  });

  it("shows what was rejected, and counts it", async () => {
    const running = await startUplink();
    await clock.advance(100);
    const one = { eventClass: "normal", sequence: 1, code: "MESH-3003", reason: "no" } as const;
    region.say(region.peer, { epoch: buffer.epoch, rejected: [one] });
    await clock.advance(10);
    expect(running.status()).toMatchObject({ rejectedCount: 1, rejected: [one] });
    expect(counts.get("rejected")).toBe(1);
  });

  it("measures its skew by the region's clock and is not moved by jumps of its own", async () => {
    region.aheadMs = 60_000;
    const running = await startUplink();
    await clock.advance(1_000);
    expect(Math.abs((running.status().skewMs ?? 0) + 60_000)).toBeLessThan(10);
    const before = running.cloudNowMs() ?? 0;
    clock.jumpWall(-3e11);
    await clock.advance(1_000);
    expect(Math.abs((running.cloudNowMs() ?? 0) - before - 1_000)).toBeLessThan(10);
  });

  it("knows no time while no clock was ever set", async () => {
    clock = new SimulatedClock(0);
    region = new ScriptedRegion(clock);
    link = new MemoryLink({ region, clock, chance });
    link.isDown = true;
    const running = await startUplink();
    await clock.advance(1_000);
    expect(running.cloudNowMs()).toBeUndefined();
  });

  it("shares a batch's bytes out over its topics", async () => {
    await append("normal", 10);
    await append("bulk", 10, { size: 1_000 });
    await startUplink();
    await clock.advance(1_000);
    expect([...bytes.keys()].sort()).toEqual(["test.bulk", "test.normal"]);
    expect(bytes.get("test.bulk")).toBeGreaterThan(10_000);
  });

  it("finishes what is on its way when it stops", async () => {
    await append("normal", 5);
    const running = await startUplink();
    await clock.advance(2);
    const stopped = running.stop(new AbortController().signal);
    await clock.advance(3_000);
    await stopped;
    expect(running.status().state).toBe("stopped");
  });

  it("waits ever longer, with full jitter and a bound, while the region is away", async () => {
    link.isDown = true;
    await startUplink({ reconnect: { initialMs: 100, maxMs: 5_000 } });
    await clock.advance(600_000);
    const tries = counts.get("reconnects") ?? 0;
    expect(tries).toBeGreaterThan(100);
    expect(tries).toBeLessThan(600);
  });
});
