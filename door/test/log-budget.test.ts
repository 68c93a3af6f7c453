import { SimulatedClock } from "@fleetmesh/core";
import { expect, it } from "vitest";
import { LogBudget } from "../src/telemetry/log-budget.ts";

it("writes so many lines a second, and then says how many were left out", async () => {
  const clock = new SimulatedClock();
  const budget = new LogBudget(clock, 2);
  const lines: number[] = [];
  const write = (leftOut: number): void => void lines.push(leftOut);
  for (let at = 0; at < 7; at += 1) budget.spend(write);
  await clock.advance(1_000);
  budget.spend(write);
  expect(lines).toEqual([0, 0, 5]);
});
