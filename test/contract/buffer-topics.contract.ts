import { describe, expect, it } from "vitest";
import { seededChance } from "@fleetmesh/core";
import type { EventBuffer } from "@fleetmesh/edge-agent";
import { assertLedger, itemOf, itemsOf, startMs, storedUpTo } from "./buffer-events.ts";
import { bufferFixture, small, type BufferUnderTest } from "./buffer-fixture.ts";

async function waiting(buffer: EventBuffer): Promise<Record<string, number>> {
  const { queued } = await buffer.topics();
  return Object.fromEntries(
    queued.map(({ eventClass, topic, events }) => [`${eventClass} ${topic}`, events]),
  );
}

async function oldest(buffer: EventBuffer, topic: string): Promise<number | undefined> {
  const { queued } = await buffer.topics();
  return queued.find((one) => one.topic === topic)?.oldestMs;
}

export function testBufferTopics(name: string, kind: BufferUnderTest): void {
  describe(`EventBuffer contract, topics: ${name}`, () => {
    const { open, reopen } = bufferFixture(kind);

    it("counts to the event what waits of each topic, whatever is acknowledged and however it ends", async () => {
      const chance = seededChance(7);
      const below = (bound: number): number => Math.floor(chance.float() * bound);
      const topics = ["a", "b", "c.d"];
      const waits: string[] = [];
      let [buffer, produced, confirmed] = [await open(), 0, 0];
      for (let round = 0; round < 60; round += 1) {
        const items = Array.from({ length: 1 + below(30) }, () => {
          const topic = topics[below(topics.length)] ?? "a";
          waits.push(topic);
          return itemOf((produced += 1), { topic, bytes: 20 + below(500) });
        });
        await buffer.append(items);
        if (below(3) === 0) {
          const next = confirmed + below(produced - confirmed + 1);
          waits.splice(0, next - confirmed);
          await buffer.acknowledge({ normal: storedUpTo((confirmed = next)) });
        }
        if (below(8) === 0) {
          // An acknowledgement may be forgotten in a crash: it is given again, as the region does.
          buffer = await reopen(buffer);
          await buffer.acknowledge({ normal: storedUpTo(confirmed) });
        }
        const wanted: Record<string, number> = {};
        for (const topic of waits) wanted[`normal ${topic}`] = (wanted[`normal ${topic}`] ?? 0) + 1;
        expect(await waiting(buffer)).toEqual(wanted);
        await assertLedger(buffer);
      }
    });

    it("keeps the classes of a topic apart, and has no bytes left when nothing is", async () => {
      const buffer = await open();
      await buffer.append([
        itemOf(1, { topic: "a", eventClass: "critical" }),
        ...itemsOf(2, 3, { topic: "a" }),
        itemOf(5, { topic: "big", bytes: 5_000 }),
      ]);
      expect(await waiting(buffer)).toEqual({ "critical a": 1, "normal a": 3, "normal big": 1 });
      const { queued } = await buffer.topics();
      const bytesOf = (topic: string): number =>
        queued.find((one) => one.topic === topic && one.eventClass === "normal")?.bytes ?? 0;
      expect(bytesOf("big")).toBeGreaterThan(5_000);
      expect(bytesOf("a")).toBeLessThan(1_000);
      await buffer.acknowledge({ critical: storedUpTo(1), normal: storedUpTo(4) });
      expect((await buffer.topics()).queued).toEqual([]);
    });

    it("knows since when each topic waits", async () => {
      let buffer = await open();
      for (let index = 1; index <= 300; index += 1)
        await buffer.append([itemOf(index, { topic: index % 290 === 5 ? "rare" : "often" })]);
      expect(await oldest(buffer, "rare")).toBe(startMs + 5);
      expect(await oldest(buffer, "often")).toBe(startMs + 1);
      await buffer.acknowledge({ normal: storedUpTo(10) });
      expect(await oldest(buffer, "often")).toBe(startMs + 11);
      buffer = await reopen(buffer);
      await buffer.acknowledge({ normal: storedUpTo(10) });
      // What is far behind is found in steps, so that a question never takes long.
      for (let asked = 0; asked < 6; asked += 1) await buffer.topics();
      expect(await oldest(buffer, "rare")).toBe(startMs + 295);
      expect(await oldest(buffer, "often")).toBe(startMs + 11);
    });

    it("tells of which topics events were evicted", async () => {
      const buffer = await open(small);
      for (let from = 1; from <= 600; from += 20) {
        await buffer.append(
          itemsOf(from, 15, { topic: "bulky", eventClass: "bulk", bytes: 2_000 }),
        );
        await buffer.append(itemsOf(from + 15, 5, { topic: "odd", eventClass: "bulk" }));
      }
      const { lost } = await buffer.topics();
      const counts = Object.fromEntries(lost.map(({ topic, count }) => [topic, count]));
      const { gaps } = (await buffer.stats()).classes.bulk;
      for (const { reason, eventClass } of lost)
        expect([reason, eventClass]).toEqual(["evicted", "bulk"]);
      expect((counts["bulky"] ?? 0) + (counts["odd"] ?? 0)).toBe(gaps.evicted);
      expect(counts["bulky"]).toBeGreaterThan(counts["odd"] ?? 0);
      await assertLedger(buffer);
    });
  });
}
