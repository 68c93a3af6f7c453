import fc from "fast-check";
import { describe, expect, it, vi } from "vitest";
import { GroupProgress, type NumberedEvent } from "../src/delivery/group-progress.ts";
import { numberText, parseNumber } from "../src/store/shared/event-number.ts";
import type { GroupPlace } from "../src/store/shared/group-place.ts";

vi.mock(import("../src/store/shared/event-number.ts"), { spy: true });

const event = (run: number, number: number, region = "cn-east"): NumberedEvent => ({
  origin: { region },
  ...{ number: numberText({ run, number }), sentMs: run * 1_000 + number },
});
const placeOf = (progress: GroupProgress): GroupPlace =>
  progress.takePlace(1) ?? { atMs: 0, origins: [] };
/** As another region gets it: by way of a message. */
const elsewhere = (place: GroupPlace): GroupProgress =>
  new GroupProgress({ passed: JSON.parse(JSON.stringify(place)) as GroupPlace });

interface Step {
  readonly region: string;
  readonly shard: number;
  readonly isNewRun: boolean;
  /** Numbers before it that never come. */
  readonly gap: number;
  readonly fate: "filtered" | "in hand" | "settled";
}

/** A topic as a group reads it, and what the group has had of it. */
class Reading {
  readonly progress = new GroupProgress({});
  readonly had: NumberedEvent[] = [];
  readonly notHad: NumberedEvent[] = [];
  readonly #runs = new Map<string, { region: string; run: number; number: number }>();

  read({ region, shard, isNewRun, gap, fate }: Step): void {
    const key = `${region}/${shard}`;
    const last = this.#runs.get(key);
    const isFresh = last === undefined || isNewRun;
    const at = isFresh ? { region, run: (last?.run ?? shard) + 16, number: 0 } : last;
    // Of a producer's first run nobody knows where it began.
    for (let hole = 1; hole <= gap && last; hole += 1)
      this.notHad.push(event(at.run, at.number + hole, region));
    at.number += gap + 1;
    this.#runs.set(key, at);
    this.#meet(event(at.run, at.number, region), fate);
  }

  /** Nothing of it was ever there. */
  get next(): NumberedEvent[] {
    return [...this.#runs.values()].flatMap(({ region, run, number }) => [
      event(run, number + 1, region),
      event(run + 16, 1, region),
    ]);
  }

  #meet(read: NumberedEvent, fate: Step["fate"]): void {
    this.progress.read(read);
    const taken = fate === "filtered" ? undefined : this.progress.take(read);
    if (fate === "settled" && taken) this.progress.settle(taken);
    (fate === "in hand" ? this.notHad : this.had).push(read);
  }
}

describe("a group's progress by numbers", () => {
  it("says of every event whether the group has had it, in whatever order the events are settled", () => {
    const step: fc.Arbitrary<Step> = fc.record({
      ...{ region: fc.constantFrom("cn-east", "cn-west"), shard: fc.nat(2), gap: fc.nat(2) },
      ...{ isNewRun: fc.boolean(), fate: fc.constantFrom("filtered", "in hand", "settled") },
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const reading = new Reading();
        for (const each of steps) reading.read(each);
        const other = elsewhere(placeOf(reading.progress));
        const hasPassed = (each: NumberedEvent): boolean => other.hasPassed(each);
        expect(reading.had.filter((each) => !hasPassed(each))).toEqual([]);
        expect([...reading.notHad, ...reading.next].filter(hasPassed)).toEqual([]);
      }),
    );
  });

  it("goes on from what another region told, and tells the whole of it", () => {
    const first = new GroupProgress({});
    for (const number of [1, 2, 3, 4]) first.read(event(16, number));
    first.take(event(16, 2));
    const second = elsewhere(placeOf(first));
    expect(second.hasPassed(event(16, 2))).toBe(false);
    second.read(event(16, 2));
    second.read(event(16, 5));
    const third = elsewhere(placeOf(second));
    for (const number of [1, 2, 3, 4, 5]) expect(third.hasPassed(event(16, number))).toBe(true);
    expect(third.hasPassed(event(16, 6))).toBe(false);
  });

  it("knows no event of an origin before the oldest that is not settled", () => {
    const progress = new GroupProgress({});
    for (const number of [1, 2, 3]) progress.read(event(16, number));
    const taken = progress.take(event(16, 2));
    expect(placeOf(progress).origins[0]?.sentMs).toBe(16_002);
    if (taken) progress.settle(taken);
    expect(placeOf(progress).origins[0]?.sentMs).toBe(16_003);
  });

  it("forgets what never comes, after an hour or when there is too much of it, and never what is in hand", () => {
    const many = new GroupProgress({});
    many.read(event(16, 1));
    many.take(event(16, 1));
    many.read(event(16, 1_000));
    const [left] = placeOf(many).origins[0]?.runs ?? [];
    expect(left).toEqual({ run: 16, through: 1_000, open: "1,744-999" });
    const late = new GroupProgress({});
    const [first] = [1, 3, 3_600_003].map((number) => {
      late.read(event(16, number));
      return late.take(event(16, number));
    });
    if (first) late.settle(first);
    expect(elsewhere(placeOf(late)).hasPassed(event(16, 2))).toBe(true);
    expect(elsewhere(placeOf(late)).hasPassed(event(16, 3))).toBe(false);
  });

  it("reads an event's number once, from the topic to the end of its delivery", () => {
    const first = new GroupProgress({});
    first.read(event(16, 1));
    const other = elsewhere(placeOf(first));
    vi.mocked(parseNumber).mockClear();
    const events = [event(16, 2), event(16, 3), event(16, 3, "cn-west"), event(16, 4)];
    const taken = events.map((each) => {
      other.read(each);
      expect(other.hasPassed(each)).toBe(false);
      return other.take(each);
    });
    for (const each of taken) if (each) other.settle(each);
    expect(vi.mocked(parseNumber).mock.calls.length).toBeLessThanOrEqual(events.length);
    expect(taken.map((each) => each?.number)).toEqual([2, 3, 3, 4]);
  });

  it("is told when it changed, and again at rest, ever more seldom", () => {
    const progress = new GroupProgress({});
    expect(progress.takePlace(0)).toBeUndefined();
    progress.read(event(16, 1));
    const told = [];
    for (let atMs = 0; atMs < 8 * 3_600_000; atMs += 1_000)
      if (progress.takePlace(atMs)) told.push(atMs);
    expect(told.slice(0, 3)).toEqual([0, 10_000, 610_000]);
    expect(told.length).toBeLessThan(12);
    progress.putBack();
    expect(progress.takePlace(1)).toBeDefined();
  });

  it("takes an event without a number for passed when it is the mesh's own, and not when another producer wrote it", () => {
    const first = new GroupProgress({});
    first.read(event(16, 1));
    const other = elsewhere(placeOf(first));
    expect(other.hasPassed({ origin: { region: "cn-east" }, number: undefined, sentMs: 1 })).toBe(
      true,
    );
    expect(other.hasPassed({ origin: { region: "cn-east" } })).toBe(false);
    expect(other.hasPassed({ origin: { region: "cn-west" }, sentMs: 1 })).toBe(false);
  });
});
