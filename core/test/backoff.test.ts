import { describe, expect, it } from "vitest";
import type { Chance } from "../src/port/chance.ts";
import { Backoff, backoffMs } from "../src/retry/backoff.ts";

const always = (float: number): Chance => ({ float: () => float, hex64: () => "", uuid: () => "" });

describe("backoff", () => {
  it("doubles its bound with each failure up to the maximum, however often it fails", () => {
    const backoff = new Backoff({ initialMs: 100, maxMs: 1_000 }, always(1));
    const waits = Array.from({ length: 6 }, () => backoff.next());
    expect(waits).toEqual([100, 200, 400, 800, 1_000, 1_000]);
    expect(backoffMs({ initialMs: 100, maxMs: 1_000 }, 1e9, always(1))).toBe(1_000);
  });

  it("draws from nothing up to the bound, or from the floor", () => {
    const range = { initialMs: 100, maxMs: 1_000 };
    expect(backoffMs(range, 2, always(0))).toBe(0);
    expect(backoffMs({ ...range, floor: 0.25 }, 2, always(0))).toBe(50);
    expect(backoffMs({ ...range, floor: 0.25 }, 2, always(0.5))).toBe(125);
  });

  it("starts again after a success", () => {
    const backoff = new Backoff({ initialMs: 100, maxMs: 1_000 }, always(1));
    backoff.next();
    backoff.next();
    backoff.reset();
    expect(backoff.failures).toBe(0);
    expect(backoff.next()).toBe(100);
  });
});
