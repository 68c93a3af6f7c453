import { describe, expect, it } from "vitest";
import { agentMadeId, emptyWatermark } from "@fleetmesh/core";
import {
  assertLedger,
  gapsOf,
  idsOf,
  itemOf,
  itemsOf,
  readAll,
  startMs,
  storedUpTo,
} from "./buffer-events.ts";
import { bufferFixture, roomy, small, type BufferUnderTest } from "./buffer-fixture.ts";

export function testBufferContract(name: string, kind: BufferUnderTest): void {
  describe(`EventBuffer contract: ${name}`, () => {
    const { directory, open, reopen } = bufferFixture(kind);

    it("gives back events in order, byte for byte, with sequences from 1", async () => {
      const buffer = await open();
      await buffer.append(itemsOf(1, 250));
      const segments = await readAll(buffer, "normal");
      const entries = segments.flatMap((one) => (one.kind === "events" ? one.entries : []));
      expect(entries.map((entry) => entry.sequence)).toEqual(
        Array.from({ length: 250 }, (_, at) => at + 1),
      );
      expect(entries[41]).toEqual({ ...itemOf(42).entry, sequence: 42 });
      await assertLedger(buffer);
    });

    it("numbers each class for itself", async () => {
      const buffer = await open();
      await buffer.append([
        itemOf(1, { eventClass: "critical" }),
        itemOf(2),
        itemOf(3, { eventClass: "bulk" }),
        itemOf(4),
      ]);
      expect(idsOf(await readAll(buffer, "critical"))).toEqual(["event-1"]);
      expect(idsOf(await readAll(buffer, "normal"))).toEqual(["event-2", "event-4"]);
      expect(idsOf(await readAll(buffer, "bulk"))).toEqual(["event-3"]);
    });

    it("keeps the order of appends that run at once", async () => {
      const buffer = await open();
      await Promise.all(Array.from({ length: 300 }, (_, at) => buffer.append([itemOf(at + 1)])));
      const expected = Array.from({ length: 300 }, (_, at) => `event-${at + 1}`);
      expect(idsOf(await readAll(buffer, "normal"))).toEqual(expected);
    });

    it("makes the id of an event that came without one from its number", async () => {
      const buffer = await open();
      const item = itemOf(1);
      const nameless = {
        ...item,
        entry: { ...item.entry, event: { ...item.entry.event, id: "" } },
      };
      await buffer.append([itemOf(0), nameless]);
      expect(idsOf(await readAll(buffer, "normal"))).toEqual([
        "event-0",
        agentMadeId(buffer.epoch, "normal", 2),
      ]);
    });

    it("keeps what it acknowledged, and its epoch, when it ends without warning", async () => {
      const first = await open();
      const epoch = first.epoch;
      expect(epoch).toMatch(/^[0-9a-f]{16}$/);
      await first.append(itemsOf(1, 120));
      const second = await reopen(first);
      expect(second.epoch).toBe(epoch);
      expect(idsOf(await readAll(second, "normal"))).toHaveLength(120);
      await assertLedger(second);
    });

    it("never gives a sequence twice, though everything was deleted", async () => {
      const first = await open();
      await first.append(itemsOf(1, 10));
      await first.acknowledge({ normal: storedUpTo(10) });
      await first.stats();
      const second = await reopen(first);
      await second.append([itemOf(11)]);
      const [segment] = await second.read({
        eventClass: "normal",
        after: 0,
        countMax: 10,
        bytesMax: 1e6,
        nowMs: undefined,
      });
      expect(segment?.first).toBeOneOf([1, 11]);
      const entries = (await readAll(second, "normal", { after: 10 })).flatMap((one) =>
        one.kind === "events" ? one.entries : [],
      );
      expect(entries.map((entry) => [entry.sequence, entry.event.id])).toEqual([[11, "event-11"]]);
    });

    it("deletes what is acknowledged, keeps the rest of a block that is acknowledged in part", async () => {
      const buffer = await open();
      await buffer.append(itemsOf(1, 100));
      await buffer.acknowledge({ normal: storedUpTo(37) });
      expect((await buffer.stats()).classes.normal.queuedEvents).toBe(63);
      await assertLedger(buffer);
      expect(idsOf(await readAll(buffer, "normal", { after: 37 }))[0]).toBe("event-38");
      await buffer.acknowledge({ normal: storedUpTo(100) });
      const { classes } = await buffer.stats();
      expect(classes.normal).toMatchObject({
        queuedEvents: 0,
        queuedBytes: 0,
        produced: 100,
        oldestMs: undefined,
      });
      await assertLedger(buffer);
    });

    it("changes nothing on a watermark below the known one", async () => {
      const buffer = await open();
      await buffer.append(itemsOf(1, 20));
      await buffer.acknowledge({ normal: storedUpTo(15) });
      await buffer.acknowledge({ normal: storedUpTo(5) });
      expect((await buffer.stats()).classes.normal.confirmed.sequence).toBe(15);
    });

    it("refuses an acknowledgement of what it never gave out", async () => {
      const buffer = await open();
      await buffer.append([itemOf(1)]);
      await expect(buffer.acknowledge({ normal: storedUpTo(9) })).rejects.toMatchObject({
        kind: "BUFFER_DAMAGED",
      });
    });

    it("gives at least one event whatever the bounds, and no more than the count", async () => {
      const buffer = await open();
      await buffer.append(itemsOf(1, 30, { bytes: 2_000 }));
      const tight = { eventClass: "normal", after: 0, nowMs: undefined } as const;
      expect(idsOf(await buffer.read({ ...tight, countMax: 7, bytesMax: 1e6 }))).toHaveLength(7);
      expect(idsOf(await buffer.read({ ...tight, countMax: 100, bytesMax: 1 }))).toHaveLength(1);
      expect(
        idsOf(await buffer.read({ ...tight, countMax: 100, bytesMax: 10_000 })).length,
      ).toBeLessThan(10);
    });

    it("tells its listeners which classes grew, after each durable append", async () => {
      const buffer = await open();
      const grown: string[] = [];
      buffer.onAppended((classes) => grown.push(...classes));
      await buffer.append([itemOf(1, { eventClass: "critical" })]);
      await buffer.append(itemsOf(2, 3, { eventClass: "bulk" }));
      expect(grown).toEqual(["critical", "bulk"]);
    });

    it("refuses with BUFFER_FULL when it may not evict, and takes again after an acknowledgement", async () => {
      const buffer = await open({ ...small, whenFull: "reject" });
      let taken = 0;
      const fill = async (): Promise<void> => {
        for (;;) {
          await buffer.append(itemsOf(taken + 1, 10, { bytes: 2_000 }));
          taken += 10;
        }
      };
      await expect(fill()).rejects.toMatchObject({ kind: "BUFFER_FULL", retryable: true });
      expect(taken).toBeGreaterThan(50);
      expect((await buffer.stats()).bytes).toBeLessThanOrEqual(small.bytesMax);
      expect(idsOf(await readAll(buffer, "normal"))).toHaveLength(taken);
      await buffer.acknowledge({ normal: storedUpTo(taken) });
      await buffer.append(itemsOf(taken + 1, 10, { bytes: 2_000 }));
      await assertLedger(buffer);
    });

    it("turns the oldest events of the lowest class into one gap when full", async () => {
      const buffer = await open(small);
      for (let at = 0; at < 20; at += 1)
        await buffer.append(
          itemsOf(1 + at * 10, 10, { bytes: 2_000, eventClass: "bulk", topic: "logs" }),
        );
      for (let at = 0; at < 30; at += 1)
        await buffer.append(itemsOf(1 + at * 10, 10, { bytes: 2_000, eventClass: "critical" }));
      const bulk = await readAll(buffer, "bulk");
      const [gap] = gapsOf(bulk);
      expect(gapsOf(bulk)).toHaveLength(1);
      expect(gap).toMatchObject({ first: 1, reason: "evicted", topics: { logs: gap?.last } });
      const critical = await readAll(buffer, "critical");
      expect(
        idsOf(critical).length +
          gapsOf(critical).reduce((sum, one) => sum + one.last - one.first + 1, 0),
      ).toBe(300);
      expect((await buffer.stats()).bytes).toBeLessThanOrEqual(small.bytesMax);
      await assertLedger(buffer);
    });

    it("refuses a newcomer when all that is stored ranks above it", async () => {
      const buffer = await open(small);
      for (let at = 0; at < 40; at += 1)
        await buffer.append(itemsOf(at * 10, 10, { bytes: 2_000, eventClass: "critical" }));
      await expect(
        buffer.append(itemsOf(1_000, 40, { bytes: 2_000, eventClass: "bulk" })),
      ).rejects.toMatchObject({ kind: "BUFFER_FULL" });
      expect((await buffer.stats()).classes.bulk.produced).toBe(0);
      await assertLedger(buffer);
    });

    it("refuses one of several appends that share a commit without harm to the others", async () => {
      const buffer = await open({ ...small, whenFull: "reject" });
      const outcomes = await Promise.allSettled([
        buffer.append(itemsOf(1, 5)),
        buffer.append(itemsOf(100, 400, { bytes: 2_000 })),
        buffer.append(itemsOf(6, 5)),
      ]);
      expect(outcomes.map((one) => one.status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
      expect(idsOf(await readAll(buffer, "normal"))).toEqual(
        Array.from({ length: 10 }, (_, at) => `event-${at + 1}`),
      );
      await assertLedger(buffer);
    });

    it("acknowledges part of a gap and keeps the ledger exact", async () => {
      const buffer = await open(small);
      for (let at = 0; at < 50; at += 1)
        await buffer.append(itemsOf(at * 10, 10, { bytes: 2_000 }));
      const [gap] = gapsOf(await readAll(buffer, "normal"));
      const half = Math.floor((gap?.last ?? 0) / 2);
      await buffer.acknowledge({ normal: { ...emptyWatermark, sequence: half, evicted: half } });
      await assertLedger(buffer);
      const [rest] = gapsOf(await readAll(buffer, "normal", { after: half }));
      expect(rest).toMatchObject({ first: half + 1, last: gap?.last, reason: "evicted" });
      const next = await reopen(buffer, small);
      await assertLedger(next);
    });

    it("puts gaps where events have expired, in their place, by the given time only", async () => {
      const buffer = await open();
      const expiresMs = startMs + 60_000;
      await buffer.append([
        itemOf(1),
        itemOf(2, { expiresMs }),
        itemOf(3, { expiresMs }),
        itemOf(4),
      ]);
      expect(idsOf(await readAll(buffer, "normal"))).toHaveLength(4);
      expect(idsOf(await readAll(buffer, "normal", { nowMs: expiresMs - 1 }))).toHaveLength(4);
      const segments = await readAll(buffer, "normal", { nowMs: expiresMs });
      expect(segments.map((one) => one.kind)).toEqual(["events", "gap", "events"]);
      expect(gapsOf(segments)[0]).toMatchObject({
        first: 2,
        last: 3,
        reason: "expired",
        topics: { "vehicle.telemetry": 2 },
      });
      await assertLedger(buffer);
    });

    it("expires by a class's time to live, but never events taken before the clock was set", async () => {
      const buffer = await open({ ...roomy, ttlMs: { normal: 1_000 } });
      const unset = itemOf(1);
      await buffer.append([{ ...unset, entry: { ...unset.entry, receivedMs: 5_000 } }, itemOf(2)]);
      await buffer.append(itemsOf(3, 5));
      const segments = await readAll(buffer, "normal", { nowMs: startMs + 500_000 });
      expect(idsOf(segments)).toEqual(["event-1"]);
      expect(gapsOf(segments).at(-1)?.last).toBe(7);
      await assertLedger(buffer);
      expect(idsOf(await readAll(buffer, "normal", { nowMs: startMs }))).toContain("event-1");
    });

    it("prefers to drop what has expired when it is full", async () => {
      const buffer = await open({ ...small, whenFull: "reject" });
      const expiresMs = startMs + 1;
      const fill = async (): Promise<void> => {
        for (let from = 100; ; from += 10)
          await buffer.append(itemsOf(from, 10, { bytes: 2_000, expiresMs }));
      };
      await expect(fill()).rejects.toMatchObject({ kind: "BUFFER_FULL" });
      await buffer.read({
        eventClass: "critical",
        after: 0,
        countMax: 1,
        bytesMax: 1,
        nowMs: startMs + 10,
      });
      await buffer.append(itemsOf(1, 10, { bytes: 2_000 }));
      await assertLedger(buffer);
      expect((await buffer.stats()).classes.normal.gaps.expired).toBeGreaterThan(0);
    });

    it("takes nothing before it starts and after it stops", async () => {
      const buffer = kind.open(directory(), roomy);
      await expect(buffer.append([itemOf(1)])).rejects.toMatchObject({ kind: "STOPPING" });
      await buffer.stop(AbortSignal.timeout(1_000));
      const other = await open();
      const inHand = other.append([itemOf(1)]);
      await other.stop(AbortSignal.timeout(5_000));
      await other.stop(AbortSignal.timeout(5_000));
      await inHand;
      await expect(other.append([itemOf(2)])).rejects.toMatchObject({ kind: "STOPPING" });
    });
  });
}
