import { describe, expect, it } from "vitest";
import type { AppendItem, EventBuffer } from "@fleetmesh/edge-agent";
import { assertLedger, idsOf, itemOf, itemsOf, readAll, storedUpTo } from "./buffer-events.ts";
import { bufferFixture, roomy, type BufferUnderTest } from "./buffer-fixture.ts";

const conflictAt = (index: number) => ({ kind: "EVENT_CONFLICT", details: { index } });

/** The part of the contract about events that are sent again. */
export function testBufferRepeats(name: string, kind: BufferUnderTest): void {
  describe(`EventBuffer contract, repeated events: ${name}`, () => {
    const { open, reopen } = bufferFixture(kind);
    const stored = async (buffer: EventBuffer): Promise<string[]> => {
      await assertLedger(buffer);
      return idsOf(await readAll(buffer, "normal"));
    };

    it("stores an event once, however often it comes", async () => {
      const buffer = await open();
      await buffer.append([itemOf(1)]);
      await buffer.append([itemOf(1)]);
      await buffer.append([{ ...itemOf(1), eventClass: "bulk" }]);
      expect(await stored(buffer)).toEqual(["event-1"]);
      const { classes } = await buffer.stats();
      expect([classes.normal.produced, classes.bulk.produced]).toEqual([1, 0]);
    });

    it("stores what is new of an append and drops what it repeats, within itself too", async () => {
      const buffer = await open();
      await buffer.append(itemsOf(1, 3));
      await buffer.append([itemOf(2), itemOf(4), itemOf(4), itemOf(1), itemOf(5), itemOf(4)]);
      expect(await stored(buffer)).toEqual([1, 2, 3, 4, 5].map((index) => `event-${index}`));
    });

    it("refuses a whole append for one event with known id and other content, and says which", async () => {
      const buffer = await open();
      await buffer.append([itemOf(1)]);
      const other = itemOf(1, { bytes: 65 });
      await expect(buffer.append([itemOf(2), other])).rejects.toMatchObject(conflictAt(1));
      await expect(buffer.append([itemOf(3), itemOf(3, { bytes: 9 })])).rejects.toMatchObject(
        conflictAt(1),
      );
      expect(await stored(buffer)).toEqual(["event-1"]);
      // What was refused left nothing behind that its next try could meet.
      await buffer.append([itemOf(2), itemOf(3)]);
      expect(await stored(buffer)).toEqual(["event-1", "event-2", "event-3"]);
    });

    it.each<[string, (item: AppendItem) => Partial<AppendItem["entry"]["event"]>]>([
      ["type", () => ({ type: "other" })],
      ["subject", () => ({ subject: "s" })],
      ["time", () => ({ time: "2026-01-01T00:00:00Z" })],
      ["datacontenttype", () => ({ datacontenttype: undefined })],
      ["dataschema", () => ({ dataschema: "/schema" })],
      ["extension's value", () => ({ extensions: [["partitionkey", "l"]] })],
      ["extension's type", () => ({ extensions: [["partitionkey", true]] })],
      ["data", ({ entry }) => ({ data: entry.event.data?.toReversed() })],
      ["absence of data", () => ({ data: undefined })],
    ])("tells events apart by their %s", async (_what, change) => {
      const buffer = await open();
      const item = itemOf(1);
      await buffer.append([item]);
      const event = { ...item.entry.event, ...change(item) };
      const changed = { ...item, entry: { ...item.entry, event } };
      await expect(buffer.append([changed])).rejects.toMatchObject(conflictAt(0));
    });

    it("takes extensions in another order for the same event", async () => {
      const buffer = await open();
      const withExtensions = (extensions: [string, string][]): AppendItem => {
        const item = itemOf(1);
        const event = { ...item.entry.event, extensions };
        return { ...item, entry: { ...item.entry, event } };
      };
      await buffer.append([
        withExtensions([
          ["a", "1"],
          ["b", "2"],
        ]),
      ]);
      await buffer.append([
        withExtensions([
          ["b", "2"],
          ["a", "1"],
        ]),
      ]);
      expect(await stored(buffer)).toHaveLength(1);
    });

    it("takes events of another topic or source, and events without an id, for other events", async () => {
      const buffer = await open();
      const item = itemOf(1);
      const like = (event: Partial<AppendItem["entry"]["event"]>): AppendItem => ({
        ...item,
        entry: { ...item.entry, event: { ...item.entry.event, ...event } },
      });
      await buffer.append([item, itemOf(1, { topic: "vehicle.other" }), like({ source: "urn:2" })]);
      await buffer.append([like({ id: "" }), like({ id: "" })]);
      expect(await stored(buffer)).toHaveLength(5);
    });

    it("knows an event after it ended without warning, though the event was deleted", async () => {
      const first = await open();
      await first.append(itemsOf(1, 40));
      await first.append(itemsOf(41, 10));
      await first.acknowledge({ normal: storedUpTo(50) });
      await first.stats();
      const second = await reopen(first);
      await second.append(itemsOf(1, 51));
      expect((await second.stats()).classes.normal.produced).toBe(51);
      await expect(second.append([itemOf(7, { bytes: 3 })])).rejects.toMatchObject(conflictAt(0));
      const third = await reopen(second);
      await third.append(itemsOf(30, 23));
      expect((await third.stats()).classes.normal.produced).toBe(52);
    });

    it("answers a repeat of an event under way only when that one is durable", async () => {
      const buffer = await open();
      const answers: string[] = [];
      const original = buffer.append([itemOf(1)]).then(() => answers.push("original"));
      const repeat = buffer.append([itemOf(1), itemOf(2)]).then(() => answers.push("repeat"));
      const other = buffer.append([itemOf(1, { bytes: 5 })]).catch((error: unknown) => error);
      await Promise.all([original, repeat]);
      expect(answers).toEqual(["original", "repeat"]);
      expect(await other).toMatchObject(conflictAt(0));
      expect(await stored(buffer)).toEqual(["event-1", "event-2"]);
    });

    it("does not take for known what failed, nor acknowledge its repeat on its word", async () => {
      const buffer = await open({ bytesMax: 512 * 1024, whenFull: "reject" });
      const huge = itemsOf(1, 400, { bytes: 2_000 });
      const outcomes = await Promise.allSettled([
        buffer.append(huge),
        buffer.append([...huge.slice(0, 2), itemOf(500)]),
        buffer.append([itemOf(501)]),
      ]);
      expect(outcomes.map((one) => one.status)).toEqual(["rejected", "fulfilled", "fulfilled"]);
      expect((await stored(buffer)).sort()).toEqual([
        "event-1",
        "event-2",
        "event-500",
        "event-501",
      ]);
      await buffer.append(huge.slice(0, 4));
      expect(await stored(buffer)).toHaveLength(6);
    });

    it("knows the last events up to its window, and no more", async () => {
      const limits = { ...roomy, repeatWindow: 200 };
      const first = await open(limits);
      for (let from = 1; from <= 3_000; from += 20) await first.append(itemsOf(from, 20));
      await first.append(itemsOf(2_801, 200));
      expect((await first.stats()).classes.normal.produced).toBe(3_000);
      const second = await reopen(first, limits);
      await second.append(itemsOf(2_801, 200));
      expect((await second.stats()).classes.normal.produced).toBe(3_000);
      await second.append([itemOf(2_800)]);
      expect((await second.stats()).classes.normal.produced).toBe(3_001);
    });

    it("knows none with a window of 0", async () => {
      const buffer = await open({ ...roomy, repeatWindow: 0 });
      await buffer.append([itemOf(1), itemOf(1)]);
      await buffer.append([itemOf(1, { bytes: 3 })]);
      expect(await stored(buffer)).toHaveLength(3);
    });
  });
}
