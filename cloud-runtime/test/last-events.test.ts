import { SimulatedClock } from "@fleetmesh/core";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { lastEvents } from "../src/api/last-events.ts";
import { openMemoryStore, type MemoryStore } from "../src/store/memory-store.ts";
import { sampleEvent } from "./subscription-samples.ts";

const topic = "vehicle.telemetry";
const dayMs = 24 * 3_600_000;
let clock: SimulatedClock;
let store: MemoryStore;
let stored: number;
let reads: number;

beforeEach(async () => {
  clock = new SimulatedClock();
  store = openMemoryStore({ region: "cn-east", clock });
  [stored, reads] = [0, 0];
  await store.events.start();
});

afterEach(() => store.events.stop());

async function append(count: number): Promise<void> {
  const events = Array.from({ length: count }, () => sampleEvent({ id: `e${++stored}` }));
  const appended = store.events.appendDirect({ topic, receivedMs: clock.wallMs(), events });
  await clock.advance(1);
  await appended;
}

async function idsOfLast(count: number): Promise<string[]> {
  const counting = Object.create(store.events) as typeof store.events;
  counting.read = (...of) => {
    reads += 1;
    return store.events.read(...of);
  };
  counting.positionAt = (...of) => store.events.positionAt(...of);
  const found = await lastEvents(counting, { topic, count, nowMs: clock.wallMs() + 1 });
  return found.map(({ entry }) => entry.event.id);
}

function last(count: number): string[] {
  const from = Math.max(0, stored - count);
  return Array.from({ length: stored - from }, (_, at) => `e${from + at + 1}`);
}

describe("the last events of a topic", () => {
  it("are found however far they lie back and apart", async () => {
    for (let at = 0; at < 40; at += 1) {
      await append(1);
      await clock.advance(at * 100_000);
    }
    for (const count of [1, 5, 40, 100]) expect(await idsOfLast(count)).toEqual(last(count));
  });

  it("are found behind very many without reading all of them", async () => {
    for (let at = 0; at < 200; at += 1) {
      await append(200);
      await clock.advance(600);
    }
    await clock.advance(dayMs / 10);
    expect(await idsOfLast(3)).toEqual(last(3));
    expect(await idsOfLast(100)).toEqual(last(100));
    expect(reads).toBeLessThan(2 * 70);
  });

  it("are found in a burst of one moment, unless it is too large to read", async () => {
    await append(5_000);
    expect(await idsOfLast(10)).toEqual(last(10));
    await append(30_000);
    await clock.advance(5);
    await append(4);
    expect(await idsOfLast(10)).toEqual(last(4));
  });
});
