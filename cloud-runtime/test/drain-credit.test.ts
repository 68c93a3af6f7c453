import { describe, expect, it } from "vitest";
import { DrainCredit } from "../src/ingress/drain-credit.ts";

function credit(now: { ms: number }): DrainCredit {
  return new DrainCredit({
    budgetBytes: 1_000,
    creditBytesMin: 100,
    creditBytesMax: 600,
    activeMs: 5_000,
    nowMs: () => now.ms,
  });
}

describe("DrainCredit", () => {
  it("gives each sending agent an equal share between the bounds", () => {
    const now = { ms: 0 };
    const shares = credit(now);
    expect(shares.share()).toBe(600);
    for (const agent of ["a", "b", "c", "d"]) shares.take(agent, 1);
    expect(shares.share()).toBe(250);
    for (let at = 0; at < 50; at += 1) shares.take(`more-${at}`, 1);
    expect(shares.share()).toBe(100);
  });

  it("gives the share of agents that went quiet to those that send", () => {
    const now = { ms: 0 };
    const shares = credit(now);
    for (const agent of ["a", "b", "c", "d"]) shares.take(agent, 1);
    now.ms = 4_000;
    shares.take("a", 1);
    now.ms = 6_000;
    expect(shares.share()).toBe(600);
  });

  it("bounds the bytes in flight at twice the budget, and lets one message in when there is none", () => {
    const shares = credit({ ms: 0 });
    expect(shares.hasRoom(5_000)).toBe(true);
    shares.take("a", 1_500);
    expect([shares.hasRoom(500), shares.hasRoom(501)]).toEqual([true, false]);
    shares.give(1_500);
    expect(shares.bytesInFlight).toBe(0);
  });
});
