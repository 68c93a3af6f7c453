import { serialize } from "node:v8";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  catalogue,
  createLogger,
  MeshError,
  noExtensions,
  seededChance,
  SimulatedClock,
  type WireBatch,
  type WireMessage,
} from "@fleetmesh/core";
import { MemoryBuffer } from "../src/buffer/memory-buffer.ts";
import { cutOut } from "../src/uplink/cut-out.ts";
import { MemoryLink } from "../src/uplink/memory-link.ts";
import { silentObserver } from "../src/uplink/uplink-counts.ts";
import type { UndeliverableEvent } from "../src/uplink/undeliverable-event.ts";
import { uplinkLimitsDefault } from "../src/uplink/uplink-limits.ts";
import { Uplink } from "../src/uplink/uplink.ts";
import { ScriptedRegion } from "./scripted-region.ts";

const chance = seededChance(11);
const logger = createLogger({ part: "test", level: "silent" });

let clock: SimulatedClock;
let region: ScriptedRegion;
let buffer: MemoryBuffer;
let uplink: Uplink;
let aside: UndeliverableEvent[];
let canSetAside: boolean;
let made: number;
let encode: (message: WireMessage) => Uint8Array;

beforeEach(async () => {
  clock = new SimulatedClock();
  region = new ScriptedRegion(clock);
  aside = [];
  canSetAside = true;
  made = 0;
  encode = serialize;
  const limits = { bytesMax: 100_000_000, whenFull: "reject" as const };
  buffer = new MemoryBuffer({ agentId: "v1", limits, clock, chance });
  await buffer.start();
});

afterEach(async () => {
  const stopped = uplink.stop(AbortSignal.abort());
  await clock.advance(100);
  await stopped;
});

async function startUplink(): Promise<void> {
  const link = new MemoryLink({ region, clock, chance, keepaliveMs: 10_000 });
  const source = { current: buffer, salvaged: [], onChanged: () => undefined };
  uplink = new Uplink(source, uplinkLimitsDefault, {
    link,
    clock,
    chance,
    logger,
    observer: silentObserver,
    encode: (message) => encode(message),
    onCommand: () => undefined,
    onRefused: () => undefined,
    setAside: (event) => {
      if (!canSetAside) return Promise.reject(new MeshError("BUFFER_UNAVAILABLE", "disk full"));
      aside.push(event);
      return Promise.resolve();
    },
  });
  await uplink.start();
}

async function append(count: number): Promise<void> {
  const items = Array.from({ length: count }, () => ({
    eventClass: "normal" as const,
    expiresMs: undefined,
    entry: {
      topic: "test.normal",
      receivedMs: clock.wallMs(),
      event: {
        id: `e${(made += 1)}`,
        source: "/s",
        type: "t",
        subject: undefined,
        time: undefined,
        datacontenttype: undefined,
        dataschema: undefined,
        extensions: noExtensions,
        data: Buffer.alloc(10),
        dataKind: "binary" as const,
      },
    },
  }));
  await buffer.append(items);
}

const holds = (batch: WireBatch, sequence: number): boolean =>
  batch.segments.some(
    (segment) =>
      segment.kind === "events" && segment.entries.some((entry) => entry.sequence === sequence),
  );

const confirmed = async () => (await buffer.stats()).classes.normal.confirmed;

/** Refuses whole every message that holds the event, as a region that cannot read it does. */
function refuseAt(sequence: number): void {
  region.admit = (batch) => {
    if (!holds(batch, sequence)) return true;
    const { code } = catalogue.WIRE_INVALID;
    region.say(region.peer, { epoch: batch.epoch, refused: { code, reason: "unreadable" } });
    const { peer } = region;
    clock.setTimer(1_000, () => peer?.close("refused"));
    return false;
  };
}

describe("an event that no message can carry", () => {
  it("is found among others when it cannot be encoded, kept aside, and told as a gap", async () => {
    encode = (message) => {
      if (message.kind === "batch" && holds(message, 700))
        throw new MeshError("WIRE_INVALID", "cannot be written");
      return serialize(message);
    };
    await append(1_500);
    await startUplink();
    await clock.advance(20_000);
    expect(await confirmed()).toMatchObject({ sequence: 1_500, stored: 1_499, damaged: 1 });
    expect(aside).toHaveLength(1);
    expect(aside[0]).toMatchObject({ eventClass: "normal", code: "MESH-1006" });
    expect(aside[0]?.entry.event.id).toBe("e700");
    expect(region.connectionCount).toBe(1);
  });

  it("is found when the region refuses the whole message, over a few connections, and the class goes on", async () => {
    refuseAt(700);
    await append(1_500);
    await startUplink();
    await clock.advance(180_000);
    expect(await confirmed()).toMatchObject({ sequence: 1_500, stored: 1_499, damaged: 1 });
    expect(aside.map(({ entry }) => entry.event.id)).toEqual(["e700"]);
    expect(region.connectionCount).toBeLessThan(9);
    await append(2_000);
    await clock.advance(10_000);
    expect(await confirmed()).toMatchObject({ sequence: 3_500, damaged: 1 });
    // Caution is over: large batches again.
    const largest = Math.max(...region.batches.slice(-3).map(({ first, last }) => last - first));
    expect(largest).toBeGreaterThan(500);
  });

  it("is not sent to a region that said it would be too large for it", async () => {
    await append(20);
    encode = (message) => {
      const isLarge = message.kind === "batch" && holds(message, 3);
      return isLarge
        ? Buffer.concat([serialize(message), Buffer.alloc(100_000)])
        : serialize(message);
    };
    const say = region.say.bind(region);
    region.say = (peer, ack) => say(peer, { messageBytesMax: 50_000, ...ack });
    await startUplink();
    await clock.advance(20_000);
    expect(await confirmed()).toMatchObject({ sequence: 20, stored: 19, damaged: 1 });
    expect(aside[0]).toMatchObject({ code: catalogue.WIRE_TOO_LARGE.code });
    expect(region.connectionCount).toBe(1);
  });

  it("waits in the buffer, without a hot loop, until it can be kept aside", async () => {
    canSetAside = false;
    let tries = 0;
    encode = (message) => {
      if (message.kind === "hello") return serialize(message);
      tries += 1;
      throw new MeshError("WIRE_INVALID", "cannot be written");
    };
    await append(1);
    await startUplink();
    await clock.advance(60_000);
    expect(tries).toBeLessThan(80);
    expect(await confirmed()).toMatchObject({ sequence: 0 });
    canSetAside = true;
    encode = (message) => {
      if (message.kind === "batch" && holds(message, 1)) throw new MeshError("WIRE_INVALID", "no");
      return serialize(message);
    };
    await clock.advance(10_000);
    expect(await confirmed()).toMatchObject({ sequence: 1, damaged: 1 });
  });
});

describe("a region that knows sequences which were never sent", () => {
  it("is not believed: the epoch is refused instead of its events being deleted", async () => {
    const { epoch } = buffer;
    const sequence = 5;
    const watermark = { sequence, stored: 5, rejected: 0, evicted: 0, expired: 0, damaged: 0 };
    await startUplink();
    await clock.advance(1_000);
    region.isTaking = false;
    await append(10);
    // Another buffer with this epoch was quicker; nothing of ours was taken or told.
    region.say(region.peer, { epoch, watermarks: { normal: { ...watermark, sequence: 11 } } });
    await clock.advance(100);
    expect(uplink.status().refused[0]).toMatchObject({ epoch, code: "MESH-5006" });
    expect((await buffer.stats()).classes.normal).toMatchObject({ queuedEvents: 10 });
  });
});

describe("cutOut", () => {
  it("replaces the given sequences by gaps of one, at the ends and in a row", async () => {
    await append(5);
    await startUplink();
    const request = { after: 0, countMax: 10, bytesMax: 1e6, nowMs: undefined };
    const segments = await buffer.read({ eventClass: "normal", ...request });
    const cut = cutOut(segments, new Set([1, 3, 4]));
    expect(
      cut.map((part) =>
        part.kind === "gap" ? `-${part.first}` : `+${part.first}x${part.entries.length}`,
      ),
    ).toEqual(["-1", "+2x1", "-3", "-4", "+5x1"]);
    const [gap] = cut;
    expect(gap).toMatchObject({ reason: "damaged", topics: { "test.normal": 1 } });
  });
});
