import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { MeshError } from "@fleetmesh/core";
import type {
  Cursor,
  DeadLetter,
  DeliveryCommit,
  DeliveryRecord,
  DeliveryStore,
  PendingRetry,
} from "@fleetmesh/cloud-runtime";
import { sampleEntry } from "./event-samples.ts";

export interface DeliveryStoreFixture {
  readonly store: DeliveryStore;
  /** Stops the process of the store cleanly and opens what it left. */
  reopen(): Promise<DeliveryStore>;
  close(): Promise<void>;
}

const topic = "vehicle.speed";
const nothing: DeliveryCommit = {
  cursors: [],
  retries: [],
  retriesDone: [],
  deadLetters: [],
  records: [],
};

function cursor(more: Partial<Cursor> = {}): Cursor {
  const counts = { delivered: 1, filtered: 2, expired: 3, deadLettered: 4, trimmed: 5, damaged: 6 };
  return { subscription: "s1", topic, start: "0", position: "10", ahead: [], counts, ...more };
}

function retry(position: string, more: Partial<PendingRetry> = {}): PendingRetry {
  const attempts = [
    { atMs: 1_000, durationMs: 12, outcome: "503", detail: "busy" },
    { atMs: 2_000, durationMs: 5_000, outcome: "timeout" },
  ];
  return { subscription: "s1", topic, position, key: "k", attempts, nextMs: 5_000, ...more };
}

function letter(id: string, more: Partial<DeadLetter> = {}): DeadLetter {
  return {
    ...{ id, subscription: "s1", topic, position: "4", atMs: 9_000, reason: "410 gone" },
    attempts: [{ atMs: 1_000, durationMs: 3, outcome: "410" }],
    origin: {
      region: "far",
      agentId: "car-7",
      epoch: "00000000000000aa",
      eventClass: "normal",
      position: "77",
    },
    entry: sampleEntry(topic, 4),
    ...more,
  };
}

function record(position: string, more: Partial<DeliveryRecord> = {}): DeliveryRecord {
  return {
    ...{ subscription: "s1", topic, position, outcome: "delivered" },
    ...{ attempts: 1, atMs: 1_750_000_000_000, durationMs: 4 },
    ...more,
  };
}

export function testDeliveryStoreContract(
  name: string,
  open: () => Promise<DeliveryStoreFixture>,
): void {
  describe(`DeliveryStore contract: ${name}`, () => {
    let fixture: DeliveryStoreFixture;
    let store: DeliveryStore;
    beforeEach(async () => {
      fixture = await open();
      store = fixture.store;
    });
    afterEach(() => fixture.close());
    const commit = (part: Partial<DeliveryCommit>) => store.commit({ ...nothing, ...part });
    const lettersOf = async (query: object = {}): Promise<string[]> =>
      (await store.deadLetters({ limit: 100, ...query })).map(({ id }) => id);

    it("gives back the cursor that was committed last, also after a restart", async () => {
      const ahead = Array.from({ length: 3_000 }, (_, at) => String(12 + 3 * at));
      const second = cursor({ topic: "vehicle.door", position: "3", start: "3" });
      await commit({ cursors: [cursor(), second] });
      await commit({ cursors: [cursor({ position: "11", ahead })] });
      store = await fixture.reopen();
      const cursors = await store.cursors("s1");
      expect(cursors).toHaveLength(2);
      expect(cursors).toContainEqual(cursor({ position: "11", ahead }));
      expect(cursors).toContainEqual(second);
      expect(await store.cursors("s2")).toEqual([]);
    });

    it("does not look into positions", async () => {
      const odd = cursor({
        start: "a:0",
        position: "ledger:12:-1",
        ahead: ["ledger:12:4", "0012", "7"],
      });
      await commit({ cursors: [odd], records: [record("ledger:12:4"), record("7")] });
      store = await fixture.reopen();
      expect(await store.cursors("s1")).toEqual([odd]);
      expect(await store.records(topic, "ledger:12:4")).toEqual([record("ledger:12:4")]);
      expect(await store.records(topic, "7")).toEqual([record("7")]);
    });

    it("keeps retries until they are over", async () => {
      await commit({ retries: [retry("4"), retry("5"), retry("4", { subscription: "s2" })] });
      await commit({ retries: [retry("5", { nextMs: 9_000 })], retriesDone: [retry("4")] });
      store = await fixture.reopen();
      expect(await store.retries("s1")).toEqual([retry("5", { nextMs: 9_000 })]);
      expect(await store.retries("s2")).toHaveLength(1);
    });

    it("keeps a dead letter whole", async () => {
      await commit({ cursors: [cursor()], deadLetters: [letter("d1")] });
      store = await fixture.reopen();
      const [kept] = await store.deadLetters({ limit: 10 });
      const event = { ...kept?.entry.event, data: Buffer.from(kept?.entry.event.data ?? []) };
      expect({ ...kept, entry: { ...kept?.entry, event } }).toEqual(letter("d1"));
    });

    it("keeps one dead letter when its commit is made again, even after it was settled", async () => {
      await commit({ deadLetters: [letter("d1")] });
      await commit({ deadLetters: [letter("d1")] });
      expect(await lettersOf()).toEqual(["d1"]);
      expect(await store.settleDeadLetters(["d1"], "discarded")).toBe(1);
      await commit({ deadLetters: [letter("d1")] });
      expect(await lettersOf()).toEqual([]);
    });

    it("pages through dead letters by age, by subscription and by topic", async () => {
      for (const [at, id] of ["d3", "d1", "d2", "d0"].entries())
        await commit({
          deadLetters: [
            letter(id, { subscription: at % 2 ? "s2" : "s1", topic: id === "d2" ? "t2" : topic }),
          ],
        });
      expect(await lettersOf()).toEqual(["d3", "d1", "d2", "d0"]);
      expect(await lettersOf({ limit: 2 })).toEqual(["d3", "d1"]);
      expect(await lettersOf({ after: "d1" })).toEqual(["d2", "d0"]);
      expect(await lettersOf({ subscription: "s2" })).toEqual(["d1", "d0"]);
      expect(await lettersOf({ topic: "t2" })).toEqual(["d2"]);
      await store.settleDeadLetters(["d1"], "redriven");
      expect(await lettersOf({ after: "d1" })).toEqual(["d2", "d0"]);
    });

    it("groups dead letters by subscription and reason, with the oldest of each", async () => {
      const deadLetters = [
        letter("d1", { atMs: 500 }),
        letter("d2", { atMs: 400 }),
        letter("d3", { reason: "timeout" }),
        letter("d4", { subscription: "s2" }),
      ];
      await commit({ deadLetters });
      const groups = await store.deadLetterGroups();
      expect(groups).toHaveLength(3);
      expect(groups).toContainEqual({
        subscription: "s1",
        reason: "410 gone",
        count: 2,
        oldestMs: 400,
      });
    });

    it("takes settled dead letters out once, and counts them by outcome", async () => {
      await commit({ deadLetters: [letter("d1"), letter("d2"), letter("d3")] });
      expect(await store.settleDeadLetters(["d1", "d2", "none"], "redriven")).toBe(2);
      expect(await store.settleDeadLetters(["d2", "d3"], "discarded")).toBe(1);
      store = await fixture.reopen();
      expect(await lettersOf()).toEqual([]);
      expect(await store.settledDeadLetters()).toEqual([
        { subscription: "s1", redriven: 2, discarded: 1 },
      ]);
    });

    it("remembers what became of an event, for each subscription", async () => {
      const late = record("5", { outcome: "dead-lettered", attempts: 7, atMs: 1_750_000_000_900 });
      await commit({ records: [record("9"), late, record("6", { outcome: "expired" })] });
      await commit({ records: [record("5", { subscription: "s2", durationMs: 1_234 })] });
      store = await fixture.reopen();
      expect(await store.records(topic, "5")).toEqual([
        late,
        record("5", { subscription: "s2", durationMs: 1_234 }),
      ]);
      expect(await store.records(topic, "6")).toEqual([record("6", { outcome: "expired" })]);
      expect(await store.records(topic, "7")).toEqual([]);
      expect(await store.records("vehicle.door", "5")).toEqual([]);
    });

    it("forgets a subscription, but not its dead letters nor its neighbours", async () => {
      const other = { subscription: "s2" };
      await commit({
        cursors: [cursor(), cursor(other)],
        retries: [retry("4"), retry("4", other)],
        deadLetters: [letter("d1")],
        records: [record("4"), record("4", other)],
      });
      await store.forget("s1");
      store = await fixture.reopen();
      expect(await store.cursors("s1")).toEqual([]);
      expect(await store.retries("s1")).toEqual([]);
      expect(await store.cursors("s2")).toHaveLength(1);
      expect(await store.retries("s2")).toHaveLength(1);
      expect(await store.records(topic, "4")).toEqual([record("4", other)]);
      expect(await lettersOf()).toEqual(["d1"]);
    });

    it("takes commits without waiting, the last one wins", async () => {
      await Promise.all(
        [1, 2, 3, 4, 5].map((at) => commit({ cursors: [cursor({ position: String(at) })] })),
      );
      expect((await store.cursors("s1"))[0]?.position).toBe("5");
    });

    it("refuses after it was stopped", async () => {
      await store.stop(AbortSignal.timeout(5_000));
      const error: unknown = await commit({ cursors: [cursor()] }).catch(
        (thrown: unknown) => thrown,
      );
      expect(MeshError.is(error, "STOPPING")).toBe(true);
    });
  });
}
