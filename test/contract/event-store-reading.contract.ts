import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { EventStore, Position, StoredEvent } from "@fleetmesh/cloud-runtime";
import { agentEvents, agentRuns, sampleEntry, sampleEvent } from "./event-samples.ts";
import {
  failure,
  idsOf,
  page,
  readAll,
  topic,
  type EventStoreFixture,
} from "./event-store-probe.ts";

/** The reading half of the EventStore suite. */
export function testEventStoreReading(name: string, open: () => Promise<EventStoreFixture>): void {
  describe(`EventStore contract, reading: ${name}`, () => {
    let fixture: EventStoreFixture;
    let store: EventStore;
    beforeEach(async () => {
      fixture = await open();
      store = fixture.store;
    });
    afterEach(() => fixture.close());

    describe("reading", () => {
      const fill = async (count: number, size = 10): Promise<void> => {
        for (let first = 1; first <= count; first += 10)
          await store.appendFromAgent(
            agentRuns({ first, last: first + 9 }, [
              {
                kind: "events",
                entries: Array.from({ length: 10 }, (_, at) =>
                  sampleEntry(
                    topic,
                    first + at,
                    sampleEvent(`e${first + at}`, { data: Buffer.alloc(size, 7) }),
                  ),
                ),
              },
            ]),
          );
      };

      it.each(["live", "after a restart"])(
        "pages through a topic in any step, %s",
        async (when) => {
          await fill(50);
          if (when !== "live") store = await fixture.reopen();
          for (const countMax of [1, 3, 7, 10, 64]) {
            const ids: string[] = [];
            for (let at: Position = "earliest"; ;) {
              const { events, next } = await store.read(topic, at, {
                countMax,
                bytesMax: 1_000_000,
              });
              expect(events.length).toBeLessThanOrEqual(countMax);
              if (events.length === 0) break;
              ids.push(...idsOf(events));
              at = next;
            }
            expect(ids).toEqual(Array.from({ length: 50 }, (_, at) => `e${at + 1}`));
          }
        },
      );

      it.each(["live", "after a restart"])(
        "goes on behind the position of any event, %s",
        async (when) => {
          await fill(30);
          if (when !== "live") store = await fixture.reopen();
          const all = await readAll(store);
          for (const [at, { position }] of all.entries())
            expect(idsOf(await readAll(store, topic, position))).toEqual(idsOf(all.slice(at + 1)));
        },
      );

      it("keeps a page near its bytes, with one event at least", async () => {
        await fill(30, 1_000);
        const small = await store.read(topic, "earliest", { countMax: 100, bytesMax: 10 });
        expect(small.events).toHaveLength(1);
        const some = await store.read(topic, "earliest", { countMax: 100, bytesMax: 5_000 });
        expect(some.events.length).toBeGreaterThan(1);
        expect(some.events.length).toBeLessThan(7);
      });

      it("stays at its place when nothing follows, and goes on when something does", async () => {
        await fill(10);
        const { next } = await store.read(topic, "earliest", page);
        expect(await store.read(topic, next, page)).toEqual({ events: [], next });
        expect((await store.bounds(topic)).latest).toBe(next);
        await store.appendDirect({ topic, receivedMs: 1, events: [sampleEvent("late")] });
        expect(idsOf((await store.read(topic, next, page)).events)).toEqual(["late"]);
      });

      it("knows the words earliest and latest, also of a topic that is empty yet", async () => {
        const start = await store.read(topic, "latest", page);
        expect(start.events).toEqual([]);
        await fill(10);
        expect(idsOf(await readAll(store, topic, start.next))).toHaveLength(10);
        expect(await readAll(store, topic, "latest")).toEqual([]);
        expect(await store.bounds("vehicle.none")).toMatchObject({ stored: 0, trimmed: 0 });
        expect(await store.topics()).toEqual([topic]);
      });

      it.each(["", "x", "-1", "1e3", "999999999", "é".repeat(5_000)])(
        "refuses %j as a position of its topic",
        async (position) => {
          await fill(10);
          expect((await failure(store.read(topic, position, page))).kind).toBe("POSITION_INVALID");
        },
      );

      it("tells its listeners which topics grew, after they can be read", async () => {
        const told: string[][] = [];
        const seen: Promise<number>[] = [];
        const off = store.onAppended((topics) => {
          told.push([...topics].sort());
          seen.push(readAll(store).then((events) => events.length));
        });
        const topicOf = (sequence: number): string => (sequence === 1 ? topic : "vehicle.door");
        await store.appendFromAgent(agentEvents({ first: 1, last: 2, topicOf }));
        await store.appendFromAgent(agentEvents({ first: 1, last: 2, topicOf }));
        off();
        await store.appendDirect({ topic, receivedMs: 1, events: [sampleEvent("x")] });
        expect(told).toEqual([["vehicle.door", topic]]);
        expect((await Promise.all(seen)).every((count) => count >= 1)).toBe(true);
      });

      it("finds events by id, newest first, of one source or of all", async () => {
        const event = (source: string, data: string) =>
          sampleEvent("same", { source, data: Buffer.from(data) });
        await store.appendDirect({
          topic,
          receivedMs: 1,
          events: [event("/a", "1"), event("/b", "2")],
        });
        await fill(20);
        await store.appendDirect({
          topic: "vehicle.door",
          receivedMs: 1,
          events: [event("/a", "3")],
        });
        store = await fixture.reopen();
        const texts = (found: readonly StoredEvent[]): string[] =>
          found.map(({ entry }) => Buffer.from(entry.event.data ?? []).toString());
        expect(texts(await store.find("same"))).toEqual(["3", "2", "1"]);
        expect(texts(await store.find("same", "/a"))).toEqual(["3", "1"]);
        expect(await store.find("none")).toEqual([]);
        const [stored] = await store.find("e13");
        const { events } = await store.read(topic, stored?.position ?? "", page);
        expect(events[0]?.entry.event.id).toBe("e14");
      });

      it("finds a place by time", async () => {
        const times: number[] = [];
        for (let at = 0; at < 5; at += 1) {
          times.push(fixture.nowMs());
          await store.appendDirect({
            topic,
            receivedMs: 1,
            events: [sampleEvent(`t${at}`), sampleEvent(`u${at}`)],
          });
          await fixture.pass(1_000);
        }
        for (const [at, timeMs] of times.entries()) {
          const position = await store.positionAt(topic, timeMs);
          expect(idsOf(await readAll(store, topic, position))[0]).toBe(`t${at}`);
        }
        expect(
          await readAll(store, topic, await store.positionAt(topic, fixture.nowMs() + 1)),
        ).toEqual([]);
        expect(await readAll(store, topic, await store.positionAt(topic, 0))).toHaveLength(10);
      });
    });

    describe("retention", () => {
      it("drops what is too old from the head, and says so to a reader below it", async () => {
        await store.appendDirect({
          topic,
          receivedMs: 1,
          events: [sampleEvent("old1"), sampleEvent("old2")],
        });
        const { earliest: start } = await store.bounds(topic);
        const [old] = await readAll(store);
        await fixture.pass(fixture.retentionMs + 1_000);
        await store.appendDirect({ topic, receivedMs: 1, events: [sampleEvent("new")] });
        await store.trim(fixture.nowMs());
        expect(idsOf(await readAll(store))).toEqual(["new"]);
        const bounds = await store.bounds(topic);
        expect(bounds).toMatchObject({ stored: 3, trimmed: 2 });
        for (const below of [start, old?.position ?? ""]) {
          const error = await failure(store.read(topic, below, page));
          expect(error.kind).toBe("POSITION_TRIMMED");
          expect(error.details["earliest"]).toBe(bounds.earliest);
        }
        expect(idsOf(await readAll(store, topic, bounds.earliest))).toEqual(["new"]);
        expect((await store.ledger()).topics[topic]).toMatchObject({ stored: 3, trimmed: 2 });
        store = await fixture.reopen();
        expect(await store.bounds(topic)).toEqual(bounds);
        expect(await store.find("old1")).toEqual([]);
      });

      it("keeps the count of an empty topic, and remembers its publishers' events", async () => {
        await store.appendDirect({ topic, receivedMs: 1, events: [sampleEvent("old")] });
        await fixture.pass(fixture.retentionMs + 1_000);
        await store.trim(fixture.nowMs());
        store = await fixture.reopen();
        expect(await readAll(store)).toEqual([]);
        expect(
          await store.appendDirect({ topic, receivedMs: 1, events: [sampleEvent("old")] }),
        ).toEqual({ stored: 0 });
        await store.appendDirect({ topic, receivedMs: 1, events: [sampleEvent("next")] });
        expect(idsOf(await readAll(store))).toEqual(["next"]);
        expect(await store.bounds(topic)).toMatchObject({ stored: 2, trimmed: 1 });
      });
    });
  });
}
