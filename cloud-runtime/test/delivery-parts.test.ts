import fc from "fast-check";
import { seededChance, SimulatedClock } from "@fleetmesh/core";
import { describe, expect, it } from "vitest";
import { CircuitBreaker } from "../src/delivery/circuit-breaker.ts";
import { CursorTracker, type Tracked } from "../src/delivery/cursor-tracker.ts";
import { isExpired } from "../src/delivery/expiry.ts";
import { RateLimit } from "../src/delivery/rate-limit.ts";
import { ReadTurns } from "../src/delivery/read-turns.ts";
import { retryDelayMs } from "../src/delivery/retry-ladder.ts";
import { noCounts, startCursor } from "../src/delivery/subscription-starts.ts";
import { TargetGates } from "../src/delivery/target-gate.ts";
import { sampleEvent } from "./subscription-samples.ts";

const cursor = startCursor("s", "t", "0");

describe("cursor tracker", () => {
  const total = (tracker: CursorTracker): number =>
    Object.values(tracker.liveCounts() as unknown as Record<string, number>).reduce(
      (a, b) => a + b,
      0,
    );

  it("balances at every moment and never passes an event that is not settled, over restarts", () => {
    const step = fc.record({ matches: fc.boolean(), settles: fc.nat(), restarts: fc.nat(9) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const settled = new Set<number>();
        const matching = new Set<number>();
        let inHand: Tracked[] = [];
        let tracker = new CursorTracker({ subscription: "s", topic: "t", cursor, startIndex: 0 });
        let end = 0;
        const readTo = (to: number): void => {
          while (tracker.index < to) {
            const index = tracker.index;
            const position = String(index + 1);
            const event = { before: String(index), position, index, isSettled: false };
            if (!tracker.passRestored(event) && matching.has(index)) {
              tracker.take(event);
              inHand.push(event);
            }
            tracker.advance(position, index + 1);
          }
        };
        for (const { matches, settles, restarts } of steps) {
          if (matches) matching.add(end);
          readTo((end += 1));
          const event = inHand[settles % (inHand.length + 1)];
          if (event) {
            tracker.settle(event, "delivered");
            settled.add(event.index);
            inHand = inHand.filter((one) => one !== event);
          }
          expect(total(tracker) + tracker.unsettledCount).toBe(end);
          if (restarts > 0) continue;
          const kept = tracker.cursor();
          const oldest = Math.min(end, ...inHand.map(({ index }) => index));
          expect(kept.position).toBe(String(oldest));
          inHand = [];
          tracker = new CursorTracker({
            subscription: "s",
            topic: "t",
            cursor: kept,
            startIndex: 0,
          });
          expect(tracker.index).toBe(oldest);
          readTo(end);
          expect(inHand.map(({ index }) => index)).toEqual(
            [...matching].filter((index) => index >= oldest && !settled.has(index)),
          );
        }
        expect(tracker.counts().delivered).toBe(settled.size);
      }),
      { numRuns: 300 },
    );
  });

  it("counts damaged events where they stand, ahead of one that waits, and not again after a restart", () => {
    const read = (tracker: CursorTracker, position: string): Tracked => ({
      ...{ before: tracker.position, position, index: tracker.index, isSettled: false },
    });
    const start = { subscription: "s", topic: "t", startIndex: 0 };
    const tracker = new CursorTracker({ ...start, cursor });
    const waiting = read(tracker, "1");
    tracker.take(waiting);
    tracker.advance("1", 1);
    const damaged = read(tracker, "2");
    tracker.take(damaged);
    tracker.settle(damaged, "damaged");
    tracker.advance("2", 2);
    const kept = tracker.cursor();
    expect(kept).toMatchObject({
      position: "0",
      ahead: ["2"],
      counts: { damaged: 1, filtered: 0 },
    });
    const later = new CursorTracker({ ...start, cursor: kept });
    const again = read(later, "1");
    later.take(again);
    later.advance("1", 1);
    expect(later.passRestored(read(later, "2"))).toBe(true);
    later.advance("2", 2);
    later.settle(again, "delivered");
    expect(later.cursor()).toMatchObject({
      ...{ position: "2", ahead: [] },
      counts: { delivered: 1, damaged: 1, filtered: 0 },
    });
  });

  it("counts exactly what retention took, what was settled ahead of it left out", () => {
    const counts = { ...noCounts, delivered: 2 };
    const kept = { ...cursor, position: "0", ahead: ["2", "9"], counts };
    const tracker = new CursorTracker({
      subscription: "s",
      topic: "t",
      cursor: kept,
      startIndex: 0,
    });
    tracker.skipTrimmed({ position: "5", index: 5 }, ["2"]);
    expect(tracker.counts()).toMatchObject({ delivered: 2, trimmed: 4, filtered: 0 });
    expect(tracker.cursor()).toMatchObject({ position: "5", ahead: ["9"] });
  });
});

describe("retry ladder", () => {
  it("doubles up to its top with jitter, and never waits for nothing", () => {
    const chance = seededChance(1);
    const ladder = { initialMs: 100, maxMs: 1_000 };
    for (let failures = 1; failures < 2_000; failures += 1) {
      const rung = Math.min(1_000, 100 * 2 ** (failures - 1));
      const delayMs = retryDelayMs(ladder, failures, chance);
      expect(delayMs).toBeGreaterThanOrEqual(rung / 10);
      expect(delayMs).toBeLessThanOrEqual(rung);
    }
  });
});

describe("circuit breaker", () => {
  it("lets one probe through at a time once a target fails again and again, and all after an answer", async () => {
    const clock = new SimulatedClock();
    const breaker = new CircuitBreaker(clock, seededChance(1));
    for (let failures = 0; failures < 9; failures += 1) breaker.onFailed();
    expect(breaker.limit(32)).toBe(32);
    breaker.onFailed();
    expect(breaker.limit(32)).toBe(0);
    await clock.advance(breaker.waitMs);
    expect(breaker.limit(32)).toBe(1);
    breaker.onFailed();
    expect(breaker.limit(32)).toBe(0);
    await clock.advance(breaker.waitMs);
    breaker.limit(32);
    breaker.onAnswered();
    expect(breaker.limit(32)).toBe(32);
  });
});

describe("rate limit", () => {
  it("lets no more through than its rate and a tenth of a second at once", async () => {
    const clock = new SimulatedClock();
    const rate = new RateLimit(clock, 50);
    let passed = 0;
    for (let ms = 0; ms < 2_000; ms += 1) {
      while (rate.waitMs === 0) {
        rate.spend();
        passed += 1;
      }
      await clock.advance(1);
    }
    expect(passed).toBeGreaterThanOrEqual(99);
    expect(passed).toBeLessThanOrEqual(106);
  });
});

describe("target gate", () => {
  it("is one for all subscriptions of a sink and survives their restart while closed", async () => {
    const clock = new SimulatedClock();
    const gates = new TargetGates(clock);
    gates.take("http://a/").close(500);
    expect(gates.take("http://a/").waitMs).toBe(500);
    expect(gates.take("http://b/").waitMs).toBe(0);
    gates.give("http://a/");
    gates.give("http://a/");
    expect(gates.take("http://a/").waitMs).toBe(500);
    await clock.advance(500);
    expect(gates.take("http://a/").waitMs).toBe(0);
  });
});

describe("expiry", () => {
  const expiring = (time: string): boolean =>
    isExpired(sampleEvent({ id: "1", extensions: [["expirytime", time]] }), Date.UTC(2026, 5, 1));

  it("is by the cloud's clock, and never by a clock that was not set", () => {
    expect(expiring("2026-05-31T23:59:59Z")).toBe(true);
    expect(expiring("2026-06-01T02:00:00+01:00")).toBe(false);
    expect(expiring("whenever")).toBe(false);
    const event = sampleEvent({ id: "1", extensions: [["expirytime", "1969-01-01T00:00:00Z"]] });
    expect(isExpired(event, 1_000)).toBe(false);
  });
});

describe("read turns", () => {
  it("runs no more than its bound at once and everybody in the end", async () => {
    const turns = new ReadTurns(3);
    let [running, most, done] = [0, 0, 0];
    const read = async (): Promise<void> => {
      most = Math.max(most, (running += 1));
      await new Promise((resolve) => setImmediate(resolve));
      running -= 1;
      done += 1;
    };
    await Promise.all(Array.from({ length: 20 }, () => turns.run(read)));
    expect([most, done]).toEqual([3, 20]);
  });
});
