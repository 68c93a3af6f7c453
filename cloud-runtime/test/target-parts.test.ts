import { SimulatedClock, seededChance } from "@fleetmesh/core";
import { describe, expect, it } from "vitest";
import { parseRetryAfter } from "../src/target/retry-after.ts";
import { Ticks } from "../src/target/ticks.ts";
import { TraceParent } from "../src/target/trace-parent.ts";
import { sampleEvent } from "./subscription-samples.ts";

describe("Retry-After", () => {
  const nowMs = Date.UTC(2026, 0, 1);
  it.each<[string, number | undefined]>([
    ["120", 120_000],
    [" 0 ", 0],
    ["Thu, 01 Jan 2026 00:00:30 GMT", 30_000],
    ["Wed, 31 Dec 2025 00:00:00 GMT", 0],
    ["999999999", 86_400_000],
    ["soon", undefined],
    ["", undefined],
  ])("reads %j as %s ms", (value, wanted) => expect(parseRetryAfter(value, nowMs)).toBe(wanted));
});

describe("trace parent", () => {
  const traceId = "0af7651916cd43dd8448eb211c80319c";
  const next = (traceparent: string): string =>
    new TraceParent(seededChance(1)).next(
      sampleEvent({ id: "1", extensions: [["traceparent", traceparent]] }),
      "f".repeat(32),
    );

  it("goes on with the event's trace under a new parent", () => {
    const made = next(`00-${traceId}-b7ad6b7169203331-01`);
    expect(made).toMatch(new RegExp(`^00-${traceId}-[0-9a-f]{16}-01$`));
    expect(made).not.toContain("b7ad6b7169203331");
    expect(next(`cc-${traceId}-b7ad6b7169203331-01-what`)).toContain(traceId);
  });

  it.each([
    "junk",
    `ff-${traceId}-b7ad6b7169203331-01`,
    `00-${traceId}-b7ad6b7169203331-01-more`,
    `00-${"0".repeat(32)}-b7ad6b7169203331-01`,
    `00-${traceId}-${"0".repeat(16)}-01`,
  ])("restarts the trace of the invalid %j", (given) => {
    expect(next(given)).toContain(`00-${"f".repeat(32)}-`);
  });
});

describe("ticks", () => {
  it("last no shorter than a delay and at most two periods longer, and stop when nobody waits", async () => {
    const clock = new SimulatedClock();
    const waiting = new Map<number, number>();
    const seen: [number, number][] = [];
    const ticks = new Ticks({
      clock,
      periodMs: 50,
      onTick: () => {
        for (const [delayMs, tick] of [...waiting]) {
          if (ticks.count < tick) continue;
          seen.push([delayMs, clock.monotonicMs()]);
          waiting.delete(delayMs);
        }
        return waiting.size > 0;
      },
    });
    for (const delayMs of [1, 49, 50, 51, 500, 3_149, 3_200, 10_000])
      waiting.set(delayMs, ticks.after(delayMs));
    ticks.run();
    await clock.advance(20_000);
    expect(seen).toHaveLength(8);
    for (const [delayMs, atMs] of seen) {
      expect(atMs).toBeGreaterThanOrEqual(delayMs);
      expect(atMs).toBeLessThanOrEqual(delayMs + 100);
    }
    const { count } = ticks;
    await clock.advance(1_000);
    expect(ticks.count).toBe(count);
  });
});
