import { createLogger, SimulatedClock } from "@fleetmesh/core";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { MemoryMetadata } from "../src/metadata/memory-metadata.ts";
import { TopicRemoval } from "../src/metadata/topic-removal.ts";
import { openMemoryStore, type MemoryStore } from "../src/store/memory-store.ts";
import { sampleEvent } from "./subscription-samples.ts";

const topic = "vehicle.speed";

describe("the removal of topics", () => {
  let clock: SimulatedClock;
  let metadata: MemoryMetadata;
  let store: MemoryStore;
  let waitsFor: string | undefined;
  let removal: TopicRemoval;

  const open = (): TopicRemoval =>
    new TopicRemoval({
      ...{ metadata, clock, store: store.events, startMs: 30_000 },
      logger: createLogger({ part: "test", level: "silent" }),
      waitsFor: [() => Promise.resolve(waitsFor)],
    });
  const append = (id: string) =>
    store.events.appendDirect({ topic, receivedMs: 1, events: [sampleEvent({ id })] });
  const storedNow = async () => {
    const { stored, trimmed } = await store.events.bounds(topic);
    return stored - trimmed;
  };

  beforeEach(async () => {
    clock = new SimulatedClock();
    metadata = new MemoryMetadata({ autoCreateTopics: true });
    store = openMemoryStore({ region: "cn-east", clock });
    await store.events.start();
    await metadata.admitTopic(topic);
    await append("e1");
    waitsFor = undefined;
    removal = open();
    await removal.start();
  });
  afterEach(async () => {
    await removal.stop();
    await store.events.stop();
  });

  it("takes a topic away at once when nobody waits for its events", async () => {
    expect(await removal.remove(topic)).toBeUndefined();
    expect(await storedNow()).toBe(0);
    expect(metadata.removing()).toEqual([]);
  });

  it("waits until everybody has its events, and tells for whom", async () => {
    waitsFor = "s1 has not had all of it";
    expect(await removal.remove(topic)).toBe(waitsFor);
    await clock.advance(5_000);
    expect([removal.reasonFor(topic), await storedNow()]).toEqual([waitsFor, 1]);
    waitsFor = undefined;
    await clock.advance(1_000);
    expect(metadata.removing()).toEqual([]);
    expect([removal.reasonFor(topic), await storedNow()]).toEqual([undefined, 0]);
  });

  it("takes away what came meanwhile only when that was waited for, too", async () => {
    const remove = store.events.remove.bind(store.events);
    let isFirst = true;
    store.events.remove = async (...given) => {
      if (isFirst) await append("late");
      isFirst = false;
      return remove(...given);
    };
    expect(await removal.remove(topic)).toMatch(/meanwhile/);
    waitsFor = "s1 has not had the late one";
    await clock.advance(3_000);
    expect(await storedNow()).toBe(1);
    waitsFor = undefined;
    await clock.advance(1_000);
    expect([metadata.removing(), await storedNow()]).toEqual([[], 0]);
  });

  it("goes on with a store that was away, and after a restart when others had the time to tell", async () => {
    store.setFault("the disk is full");
    expect(await removal.remove(topic)).toMatch(/disk is full/);
    await removal.stop();
    store.setFault(undefined);
    removal = open();
    await removal.start();
    await clock.advance(29_000);
    expect(await storedNow()).toBe(1);
    await clock.advance(1_000);
    expect([metadata.removing(), await storedNow()]).toEqual([[], 0]);
  });

  it("leaves a topic alone that was put again", async () => {
    waitsFor = "s1";
    await removal.remove(topic);
    await metadata.putTopic({ name: topic, retentionMs: 60_000, retentionBytes: 1_000_000 });
    waitsFor = undefined;
    await clock.advance(10_000);
    expect([metadata.topics().length, await storedNow()]).toEqual([1, 1]);
  });
});
