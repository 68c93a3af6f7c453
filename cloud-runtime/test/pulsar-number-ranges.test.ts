import { seededChance } from "@fleetmesh/core";
import { describe, expect, it } from "vitest";
import { NumberRanges } from "../src/store/shared/number-ranges.ts";
import { ForeignSequences } from "../src/store/pulsar/foreign-sequences.ts";
import { StreamTable } from "../src/store/pulsar/stream-table.ts";

const listOf = (ranges: NumberRanges): number[] => [...ranges.numbers()];

describe("ranges of numbers", () => {
  it("hold what a plain set holds, whatever is added and removed", () => {
    const chance = seededChance(3);
    const below = (bound: number): number => Math.floor(chance.float() * bound);
    for (let round = 0; round < 300; round += 1) {
      const ranges = new NumberRanges();
      const plain = new Set<number>();
      for (let step = 0; step < 30; step += 1) {
        const first = below(60);
        const last = first + below(8) - 1;
        const isAdded = chance.float() < 0.6;
        if (isAdded) ranges.add(first, last);
        else ranges.remove(first, last);
        for (let at = first; at <= last; at += 1) plain[isAdded ? "add" : "delete"](at);
      }
      const expected = [...plain].sort((left, right) => left - right);
      expect(listOf(ranges)).toEqual(expected);
      expect(ranges.count).toBe(expected.length);
      expect(listOf(NumberRanges.parse(ranges.toText()))).toEqual(expected);
      for (let at = 0; at < 70; at += 1) expect(ranges.has(at)).toBe(plain.has(at));
      const half = NumberRanges.of(0, 30);
      expect(listOf(ranges.shared(half))).toEqual(expected.filter((number) => number <= 30));
      expect(ranges.head(5, 100).count).toBe(Math.min(5, expected.length));
    }
  });

  it("join what touches, and read no text that is none", () => {
    const ranges = NumberRanges.parse("1-5,7");
    ranges.add(6, 6);
    expect(ranges.toText()).toBe("1-7");
    for (const text of ["", "x", "1-", "-1", "1,,2", "1-2-3"])
      expect(NumberRanges.parse(text).isEmpty).toBe(true);
  });
});

describe("what is known of other regions' agents", () => {
  it("is exact within its window, also when it was kept and read again", () => {
    const changed = new Set<string>();
    const known = new ForeignSequences(100, (key) => changed.add(key));
    const chance = seededChance(5);
    const plain = new Set<number>();
    for (let step = 0; step < 2_000; step += 1) {
      const sequence = Math.floor(chance.float() * 5_000);
      expect(known.add("s/1/aa/car", sequence)).toBe(!plain.has(sequence));
      plain.add(sequence);
    }
    const again = new ForeignSequences(100, () => undefined);
    for (const key of changed) again.restore(key, known.encode(key));
    for (let sequence = 0; sequence < 5_100; sequence += 1)
      expect(again.has("s/1/aa/car", sequence)).toBe(plain.has(sequence));
    expect(again.has("s/1/aa/van", [...plain][0] ?? 0)).toBe(false);
  });

  it("forgets the stretch that was begun first, and takes it out of the state", () => {
    const changed: string[] = [];
    const known = new ForeignSequences(2, (key) => changed.push(key));
    for (const agent of ["a", "b", "c"]) known.add(agent, 1);
    expect(known.has("a", 1)).toBe(false);
    expect([known.has("b", 1), known.has("c", 1)]).toEqual([true, true]);
    expect(known.encode("f/0/a")).toBeUndefined();
    expect(changed.filter((key) => key === "f/0/a")).toHaveLength(2);
    expect(known.add("a", 1)).toBe(true);
  });
});

describe("what is known of an agent's stream", () => {
  it("tells events from gaps and rejections, also beyond a hole and when it was kept", () => {
    const table = new StreamTable();
    table.add("k", "stored", { first: 1, last: 3 });
    table.add("k", "evicted", { first: 4, last: 6 });
    table.add("k", "rejected", { first: 9, last: 9 });
    table.add("k", "stored", { first: 10, last: 10 });
    const kept = new StreamTable();
    kept.restore("k", table.encode("k"));
    for (const each of [table, kept]) {
      const stored = Array.from({ length: 12 }, (_, at) => at + 1).filter((number) =>
        each.isStored("k", number),
      );
      expect(stored).toEqual([1, 2, 3, 10]);
      expect(each.isKnown("k", 5)).toBe(true);
    }
  });

  it("says of what lies too far back that it was not stored", () => {
    const table = new StreamTable();
    table.add("k", "stored", { first: 1, last: 1 });
    for (let at = 2; at <= 400; at += 2) {
      table.add("k", "rejected", { first: at, last: at });
      table.add("k", "stored", { first: at + 1, last: at + 1 });
    }
    expect(table.isStored("k", 401)).toBe(true);
    expect(table.isStored("k", 400)).toBe(false);
    expect(table.isStored("k", 1)).toBe(false);
  });
});
