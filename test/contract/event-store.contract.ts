import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { eventPrint, gapPrint, keyOf, type BlockEntry } from "@fleetmesh/core";
import type { EventStore, Position } from "@fleetmesh/cloud-runtime";
import { agentEvents, agentRuns, sampleEntry, sampleEvent } from "./event-samples.ts";
import {
  failure,
  idsOf,
  page,
  readAll,
  topic,
  type EventStoreFixture,
} from "./event-store-probe.ts";
import { testEventStoreReading } from "./event-store-reading.contract.ts";
import { testEventStoreRemoval } from "./event-store-removal.contract.ts";

/** Everything that the EventStore interface promises; positions are opaque here. */
export function testEventStoreContract(name: string, open: () => Promise<EventStoreFixture>): void {
  testEventStoreReading(name, open);
  testEventStoreRemoval(name, open);
  describe(`EventStore contract, appending: ${name}`, () => {
    let fixture: EventStoreFixture;
    let store: EventStore;
    beforeEach(async () => {
      fixture = await open();
      store = fixture.store;
    });
    afterEach(() => fixture.close());

    describe("agents", () => {
      it("gives back an event as it came, with where it came from", async () => {
        const event = sampleEvent("e1", {
          subject: "部件/ABS",
          time: "2026-05-01T10:00:00.123456789+08:00",
          dataschema: "urn:s",
          extensions: [
            ["partitionkey", "k"],
            ["level", -5],
            ["hot", true],
            ["cold", false],
          ],
          data: Buffer.from([0, 255, 10]),
          dataKind: "binary",
        });
        const entry = sampleEntry(topic, 1, event);
        await store.appendFromAgent(
          agentRuns({ first: 1, last: 1 }, [{ kind: "events", entries: [entry] }]),
        );
        store = await fixture.reopen();
        const [stored] = await readAll(store);
        expect(stored?.topic).toBe(topic);
        expect(stored?.origin).toEqual({
          region: fixture.region,
          agentId: "car-7",
          epoch: "00000000000000aa",
          eventClass: "normal",
        });
        expect(stored?.entry.sequence).toBe(1);
        expect(stored?.entry.receivedMs).toBe(entry.receivedMs);
        expect({
          ...stored?.entry.event,
          data: Buffer.from(stored?.entry.event.data ?? []),
        }).toEqual(event);
        expect(keyOf((stored?.entry as BlockEntry).event)).toBe("k");
      });

      it("keeps no data, empty data and data apart", async () => {
        const events = [undefined, Buffer.alloc(0), Buffer.from("x")].map((data, at) =>
          sampleEvent(`d${at}`, { data }),
        );
        await store.appendDirect({ topic, receivedMs: 1, events });
        store = await fixture.reopen();
        const lengths = (await readAll(store)).map(({ entry }) => entry.event.data?.length);
        expect(lengths).toEqual([undefined, 0, 1]);
      });

      it("stores a sequence once, whatever is sent again", async () => {
        const first = await store.appendFromAgent(agentEvents({ first: 1, last: 5 }));
        expect(first.outcome).toBe("stored");
        expect(first.watermark).toMatchObject({ sequence: 5, stored: 5 });
        const again = await store.appendFromAgent(agentEvents({ first: 1, last: 5 }));
        expect(again.outcome).toBe("duplicate");
        expect(again.watermark).toEqual(first.watermark);
        expect(idsOf(await readAll(store))).toEqual(["e1", "e2", "e3", "e4", "e5"]);
        expect((await store.ledger()).duplicates.agents).toBe(5);
        expect((await store.ledger()).topics[topic]?.duplicates).toBe(5);
      });

      it("stores only what is new of an append that overlaps, in every topic of it", async () => {
        const topicOf = (sequence: number): string => (sequence % 2 ? topic : "vehicle.door");
        await store.appendFromAgent(agentEvents({ first: 1, last: 5, topicOf }));
        const { outcome, watermark } = await store.appendFromAgent(
          agentEvents({ first: 3, last: 9, topicOf }),
        );
        expect(outcome).toBe("stored");
        expect(watermark).toMatchObject({ sequence: 9, stored: 9 });
        expect(idsOf(await readAll(store))).toEqual(["e1", "e3", "e5", "e7", "e9"]);
        expect(idsOf(await readAll(store, "vehicle.door"))).toEqual(["e2", "e4", "e6", "e8"]);
        store = await fixture.reopen();
        expect(idsOf(await readAll(store))).toEqual(["e1", "e3", "e5", "e7", "e9"]);
        expect((await store.find("e6")).map(({ entry }) => entry.sequence)).toEqual([6]);
      });

      it("refuses what starts beyond the watermark, and changes nothing", async () => {
        await store.appendFromAgent(agentEvents({ first: 1, last: 2 }));
        const { outcome, watermark } = await store.appendFromAgent(
          agentEvents({ first: 4, last: 6 }),
        );
        expect(outcome).toBe("ahead");
        expect(watermark.sequence).toBe(2);
        expect(await readAll(store)).toHaveLength(2);
        expect((await store.ledger()).topics[topic]?.stored).toBe(2);
      });

      it("takes appends that are sent without waiting, in their order", async () => {
        const receipts = await Promise.all(
          [0, 1, 2, 3, 4].map((at) =>
            store.appendFromAgent(agentEvents({ first: 10 * at + 1, last: 10 * at + 10 })),
          ),
        );
        expect(receipts.map(({ outcome }) => outcome)).toEqual(Array(5).fill("stored"));
        expect((await readAll(store)).map(({ entry }) => entry.sequence)).toEqual(
          Array.from({ length: 50 }, (_, at) => at + 1),
        );
      });

      it("sees a resend that is in hand together with its first", async () => {
        const append = agentEvents({ first: 1, last: 3 });
        const receipts = await Promise.all([
          store.appendFromAgent(append),
          store.appendFromAgent(append),
        ]);
        expect(receipts.map(({ outcome }) => outcome)).toEqual(["stored", "duplicate"]);
        expect(await readAll(store)).toHaveLength(3);
      });

      it("numbers classes and epochs apart", async () => {
        await store.appendFromAgent(agentEvents({ first: 1, last: 2 }));
        await store.appendFromAgent(agentEvents({ first: 1, last: 3, eventClass: "critical" }));
        await store.appendFromAgent(agentEvents({ first: 1, last: 4, epoch: "00000000000000bb" }));
        store = await fixture.reopen();
        const known = await store.watermarks("car-7", "00000000000000aa");
        expect(known.normal?.sequence).toBe(2);
        expect(known.critical?.sequence).toBe(3);
        expect(known.bulk).toBeUndefined();
        expect((await store.watermarks("car-7", "00000000000000bb")).normal?.sequence).toBe(4);
        expect(await store.watermarks("car-8", "00000000000000aa")).toEqual({});
      });

      it("keeps prints of the last sequences with the watermark, over a restart too", async () => {
        const prints = async () =>
          (await store.watermarks("car-7", "00000000000000aa")).normal?.prints;
        const printsOf = (...sequences: number[]) =>
          sequences.map((sequence) => eventPrint(sampleEntry(topic, sequence)));
        await store.appendFromAgent(agentEvents({ first: 1, last: 3 }));
        expect(await prints()).toEqual(printsOf(1, 2, 3));
        // Of a resend only what is new counts.
        await store.appendFromAgent(
          agentRuns({ first: 2, last: 7 }, [
            { kind: "events", entries: [2, 3, 4].map((at) => sampleEntry(topic, at)) },
            { kind: "gap", first: 5, last: 5, reason: "evicted", topics: {} },
            { kind: "gap", first: 6, last: 6, reason: "damaged", topics: {} },
            {
              kind: "rejected",
              entry: sampleEntry(topic, 7),
              code: "MESH-3003",
              reason: "no permission",
            },
          ]),
        );
        store = await fixture.reopen();
        expect(await prints()).toEqual([...printsOf(1, 2, 3, 4), gapPrint, null, ...printsOf(7)]);
        await store.appendFromAgent(agentEvents({ first: 8, last: 10 }));
        expect(await prints()).toEqual([
          ...printsOf(3, 4),
          gapPrint,
          null,
          ...printsOf(7, 8, 9, 10),
        ]);
        await store.appendFromAgent(agentEvents({ first: 11, last: 30 }));
        expect(await prints()).toEqual(printsOf(23, 24, 25, 26, 27, 28, 29, 30));
      });

      it("counts gaps and rejections into the watermark, and keeps what was rejected", async () => {
        const { watermark } = await store.appendFromAgent(
          agentRuns({ first: 1, last: 12 }, [
            { kind: "events", entries: [sampleEntry(topic, 1), sampleEntry(topic, 2)] },
            { kind: "gap", first: 3, last: 6, reason: "evicted", topics: { [topic]: 4 } },
            {
              kind: "rejected",
              entry: sampleEntry("vehicle.secret", 7),
              code: "MESH-3003",
              reason: "no permission",
            },
            { kind: "gap", first: 8, last: 10, reason: "expired", topics: {} },
            { kind: "gap", first: 11, last: 11, reason: "damaged", topics: {} },
            { kind: "events", entries: [sampleEntry(topic, 12)] },
          ]),
        );
        expect(watermark).toEqual({
          ...{ sequence: 12, stored: 3, rejected: 1, evicted: 4, expired: 3, damaged: 1 },
        });
        store = await fixture.reopen();
        const ledger = await store.ledger();
        expect(ledger.gaps).toEqual({ evicted: 4, expired: 3, damaged: 1 });
        expect(ledger.rejected).toBe(1);
        expect(ledger.topics[topic]).toMatchObject({ fromAgents: 3, stored: 3 });
        const [rejected] = await store.rejected(10);
        expect(rejected).toMatchObject({ code: "MESH-3003", reason: "no permission" });
        expect(rejected?.entry.event.id).toBe("e7");
        expect(rejected?.origin.agentId).toBe("car-7");
        expect(await readAll(store)).toHaveLength(3);
      });

      it("counts only the new part of a gap that overlaps", async () => {
        const gap = (first: number, last: number) =>
          agentRuns({ first, last }, [{ kind: "gap", first, last, reason: "evicted", topics: {} }]);
        await store.appendFromAgent(gap(1, 10));
        const { watermark } = await store.appendFromAgent(gap(5, 15));
        expect(watermark).toMatchObject({ sequence: 15, evicted: 15 });
        expect((await store.ledger()).gaps.evicted).toBe(15);
      });

      it("does not take a batch whose runs leave a hole", async () => {
        const entries = [sampleEntry(topic, 1), sampleEntry(topic, 3)];
        const error = await failure(
          store.appendFromAgent(agentRuns({ first: 1, last: 3 }, [{ kind: "events", entries }])),
        );
        expect(error.kind).toBe("WIRE_INVALID");
        expect(await readAll(store)).toEqual([]);
      });
    });

    describe("direct publishers", () => {
      const append = (...events: ReturnType<typeof sampleEvent>[]) =>
        store.appendDirect({ topic, receivedMs: 1_750_000_000_000, events });

      it("takes the same event again without storing it twice, also after a restart", async () => {
        expect(await append(sampleEvent("a"), sampleEvent("b"))).toEqual({ stored: 2 });
        expect(await append(sampleEvent("b"), sampleEvent("c"))).toEqual({ stored: 1 });
        store = await fixture.reopen();
        expect(await append(sampleEvent("a"), sampleEvent("d"))).toEqual({ stored: 1 });
        expect(idsOf(await readAll(store))).toEqual(["a", "b", "c", "d"]);
        expect((await store.ledger()).duplicates.direct).toBe(2);
        expect((await store.ledger()).topics[topic]?.duplicates).toBe(2);
      });

      it("refuses the whole append when one event is known with other content", async () => {
        await append(sampleEvent("a"));
        const other = sampleEvent("a", { data: Buffer.from("{}") });
        const error = await failure(append(sampleEvent("b"), other));
        expect(error.kind).toBe("EVENT_CONFLICT");
        expect(error.details["index"]).toBe(1);
        expect(idsOf(await readAll(store))).toEqual(["a"]);
        expect(await append(sampleEvent("b"))).toEqual({ stored: 1 });
      });

      it("judges resends within one append, and within appends that are in hand together", async () => {
        expect(await append(sampleEvent("a"), sampleEvent("a"))).toEqual({ stored: 1 });
        const both = await Promise.all([append(sampleEvent("b")), append(sampleEvent("b"))]);
        expect(both.map(({ stored }) => stored)).toEqual([1, 0]);
        const conflicting = await Promise.allSettled([
          append(sampleEvent("c")),
          append(sampleEvent("c", { type: "other" })),
          append(sampleEvent("d")),
        ]);
        expect(conflicting.map(({ status }) => status)).toEqual([
          "fulfilled",
          "rejected",
          "fulfilled",
        ]);
        expect(idsOf(await readAll(store))).toEqual(["a", "b", "c", "d"]);
      });

      it("tells events of another source or topic apart", async () => {
        await append(sampleEvent("a"));
        expect(await append(sampleEvent("a", { source: "/other" }))).toEqual({ stored: 1 });
        const elsewhere = { topic: "vehicle.door", receivedMs: 1, events: [sampleEvent("a")] };
        expect(await store.appendDirect(elsewhere)).toEqual({ stored: 1 });
      });

      it("remembers as many events as the window says, and no events of before", async () => {
        const { directWindow } = fixture;
        const events = Array.from({ length: directWindow }, (_, at) => sampleEvent(`w${at}`));
        await append(...events);
        store = await fixture.reopen();
        expect(await append(events[0] as (typeof events)[0])).toEqual({ stored: 0 });
        for (let at = 0; at < 2 * directWindow; at += 50)
          await append(...Array.from({ length: 50 }, (_, more) => sampleEvent(`x${at + more}`)));
        expect(await append(events[0] as (typeof events)[0])).toEqual({ stored: 1 });
      });

      it("takes an empty append", async () => {
        expect(await append()).toEqual({ stored: 0 });
      });
    });

    describe("replication", () => {
      const replicated = (before: Position | undefined, after: Position, ids: readonly string[]) =>
        store.appendReplicated({
          topic,
          originRegion: "far",
          cursorBefore: before,
          cursorAfter: after,
          entries: ids.map((id) => ({
            position: `p-${id}`,
            entry: sampleEntry(topic, 0, sampleEvent(id)),
            origin: {
              region: "far",
              agentId: "car-9",
              epoch: "00000000000000cc",
              eventClass: "bulk" as const,
            },
          })),
        });

      it("keeps origin and position of the far region, and moves the link's cursor with the events", async () => {
        expect(await store.replicationCursor("far", topic)).toBeUndefined();
        expect(await replicated(undefined, "c1", ["a", "b"])).toEqual({ cursor: "c1" });
        store = await fixture.reopen();
        expect(await store.replicationCursor("far", topic)).toBe("c1");
        expect(await store.replicationCursor("far", "vehicle.door")).toBeUndefined();
        const [first] = await readAll(store);
        expect(first?.origin).toEqual({
          ...{ region: "far", agentId: "car-9", epoch: "00000000000000cc", eventClass: "bulk" },
          position: "p-a",
        });
        expect((await store.ledger()).topics[topic]).toMatchObject({ replicated: 2, stored: 2 });
      });

      it("refuses an append whose cursor is not the stored one, and says which is", async () => {
        await replicated(undefined, "c1", ["a"]);
        const error = await failure(replicated(undefined, "c1", ["a"]));
        expect(error.kind).toBe("LINK_BEHIND");
        expect(error.details["cursor"]).toBe("c1");
        expect(idsOf(await readAll(store))).toEqual(["a"]);
        expect((await store.ledger()).duplicates.replicated).toBe(1);
        expect((await store.ledger()).topics[topic]?.duplicates).toBe(1);
        const inHand = await Promise.allSettled([
          replicated("c1", "c2", ["b"]),
          replicated("c1", "c2", ["b"]),
          replicated("c2", "c3", ["c"]),
        ]);
        expect(inHand.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
        expect(idsOf(await readAll(store))).toEqual(["a", "b", "c"]);
      });

      it("moves the cursor over what it had nothing to store of", async () => {
        await replicated(undefined, "c1", []);
        expect(await store.replicationCursor("far", topic)).toBe("c1");
        expect(await readAll(store)).toEqual([]);
      });
    });

    describe("lifecycle", () => {
      it("holds everything over a clean stop", async () => {
        await store.appendFromAgent(agentEvents({ first: 1, last: 20 }));
        const ledger = await store.ledger();
        store = await fixture.reopen();
        expect(await store.ledger()).toEqual(ledger);
        expect(idsOf(await readAll(store))).toHaveLength(20);
        const { outcome } = await store.appendFromAgent(agentEvents({ first: 11, last: 30 }));
        expect(outcome).toBe("stored");
        expect(await readAll(store)).toHaveLength(30);
      });

      it("answers what was in hand when it stops, and refuses afterwards", async () => {
        const inHand = store.appendFromAgent(agentEvents({ first: 1, last: 3 }));
        await store.stop(AbortSignal.timeout(5_000));
        await store.stop(AbortSignal.timeout(5_000));
        expect((await inHand).outcome).toBe("stored");
        expect(
          (await failure(store.appendFromAgent(agentEvents({ first: 4, last: 5 })))).kind,
        ).toBe("STOPPING");
        expect((await failure(store.read(topic, "earliest", page))).kind).toBe("STOPPING");
        store = await fixture.reopen();
        expect(await readAll(store)).toHaveLength(3);
      });

      it("balances its ledger", async () => {
        await store.appendFromAgent(agentEvents({ first: 1, last: 7 }));
        await store.appendDirect({
          topic,
          receivedMs: 1,
          events: [sampleEvent("a"), sampleEvent("b")],
        });
        const counts = (await store.ledger()).topics[topic];
        expect(counts).toMatchObject({ fromAgents: 7, direct: 2, replicated: 0, stored: 9 });
        expect(await readAll(store)).toHaveLength(9);
      });
    });
  });
}
