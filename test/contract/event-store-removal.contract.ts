import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { EventStore } from "@fleetmesh/cloud-runtime";
import { sampleEvent } from "./event-samples.ts";
import {
  failure,
  idsOf,
  page,
  readAll,
  topic,
  type EventStoreFixture,
} from "./event-store-probe.ts";

/** The part of the EventStore suite that takes topics away. */
export function testEventStoreRemoval(name: string, open: () => Promise<EventStoreFixture>): void {
  describe(`EventStore contract, removing: ${name}`, () => {
    let fixture: EventStoreFixture;
    let store: EventStore;
    beforeEach(async () => {
      fixture = await open();
      store = fixture.store;
    });
    afterEach(() => fixture.close());

    const append = (ids: readonly string[], to = topic) =>
      store.appendDirect({ topic: to, receivedMs: 1, events: ids.map((id) => sampleEvent(id)) });

    it("leaves nothing to read, and counts what went as trimmed, for good", async () => {
      await append(["a1", "a2", "a3"]);
      await append(["b1"], "vehicle.door");
      const [first] = await readAll(store);
      const { latest } = await store.bounds(topic);
      expect(await store.remove(topic, latest)).toBeUndefined();
      for (let turn = 0; turn < 2; turn += 1) {
        expect(await store.bounds(topic)).toMatchObject({
          stored: 3,
          trimmed: 3,
          earliest: latest,
        });
        expect((await store.read(topic, "earliest", page)).events).toEqual([]);
        expect(await store.read(topic, latest, page)).toEqual({ events: [], next: latest });
        const missed = await failure(store.read(topic, first?.position ?? "", page));
        expect(missed).toMatchObject({ kind: "POSITION_TRIMMED", details: { earliest: latest } });
        expect(await store.find("a2")).toEqual([]);
        const { topics } = await store.ledger();
        expect(topics[topic]).toMatchObject({ stored: 3, trimmed: 3, readable: 0 });
        expect(idsOf(await readAll(store, "vehicle.door"))).toEqual(["b1"]);
        store = await fixture.reopen();
      }
    });

    it.each(["live", "after a restart"])(
      "goes on behind the last position when the topic is used again, %s",
      async (when) => {
        await append(["a1", "a2"]);
        const { latest } = await store.bounds(topic);
        await store.remove(topic, latest);
        if (when !== "live") store = await fixture.reopen();
        await append(["a3"]);
        await append(["a4"]);
        expect(idsOf(await readAll(store, topic, latest))).toEqual(["a3", "a4"]);
        expect(idsOf(await readAll(store))).toEqual(["a3", "a4"]);
        expect(await store.bounds(topic)).toMatchObject({ stored: 4, trimmed: 2 });
        store = await fixture.reopen();
        expect(idsOf(await readAll(store, topic, latest))).toEqual(["a3", "a4"]);
      },
    );

    it("keeps what came behind the position, and says so", async () => {
      await append(["a1", "a2"]);
      const { latest } = await store.bounds(topic);
      await append(["a3"]);
      expect(await store.remove(topic, latest)).toMatch(/meanwhile/);
      expect(idsOf(await readAll(store, topic, latest))).toEqual(["a3"]);
      await append(["a4"]);
      expect(idsOf(await readAll(store, topic, latest))).toEqual(["a3", "a4"]);
    });

    it("has nothing to do for a topic without events", async () => {
      expect(await store.remove("vehicle.never", "earliest")).toBeUndefined();
      const { latest } = await store.bounds("vehicle.never");
      expect(await store.remove("vehicle.never", latest)).toBeUndefined();
      expect(await store.topics()).not.toContain("vehicle.never");
    });
  });
}
