import { describe, expect, it } from "vitest";
import { seededChance, systemChance } from "../src/port/chance.ts";
import { sleep, systemClock } from "../src/port/clock.ts";
import { SimulatedClock } from "../src/port/simulated-clock.ts";

describe("The simulated clock", () => {
  it("fires timers by due time, then by creation, each at its own time", async () => {
    const clock = new SimulatedClock();
    const log: string[] = [];
    const note = (name: string) => () => log.push(`${name}@${clock.monotonicMs()}`);
    clock.setTimer(20, note("b"));
    clock.setTimer(10, note("a"));
    clock.setTimer(20, note("c"));
    clock.setTimer(30, note("late"));
    await clock.advance(25);
    expect(log).toEqual(["a@10", "b@20", "c@20"]);
    expect(clock.monotonicMs()).toBe(25);
  });

  it("runs timers that timers set, within the span", async () => {
    const clock = new SimulatedClock();
    const log: number[] = [];
    const again = (): void => {
      log.push(clock.monotonicMs());
      clock.setTimer(10, again);
    };
    clock.setTimer(10, again);
    await clock.advance(35);
    expect(log).toEqual([10, 20, 30]);
  });

  it("forgets a cancelled timer", async () => {
    const clock = new SimulatedClock();
    clock.setTimer(1, () => expect.unreachable()).cancel();
    await clock.advance(5);
  });

  it("jumps the wall clock without moving timers", async () => {
    const clock = new SimulatedClock(1000);
    clock.jumpWall(-500);
    expect([clock.wallMs(), clock.monotonicMs()]).toEqual([500, 0]);
    await clock.advance(10);
    expect(clock.wallMs()).toBe(510);
  });
});

describe("sleep", () => {
  it("ends when the time has come", async () => {
    const clock = new SimulatedClock();
    const slept = sleep(clock, 100).then(() => clock.monotonicMs());
    await clock.advance(200);
    expect(await slept).toBe(100);
  });

  it("ends early, without an error, when the signal aborts or had aborted", async () => {
    const stopping = new AbortController();
    const slept = sleep(new SimulatedClock(), 100, stopping.signal);
    stopping.abort();
    await slept;
    await sleep(systemClock, 1e6, stopping.signal);
  });

  it("runs on the system's clock too", async () => {
    const before = systemClock.monotonicMs();
    const slept = sleep(systemClock, 1);
    const alive = setInterval(() => undefined, 5);
    await slept;
    clearInterval(alive);
    expect(systemClock.monotonicMs()).toBeGreaterThan(before);
    expect(systemClock.wallMs()).toBeGreaterThan(0);
  });
});

describe("Seeded chance", () => {
  it("repeats with its seed and differs with another", () => {
    const draw = (seed: number): unknown[] => {
      const chance = seededChance(seed);
      return [chance.float(), chance.hex64(), chance.uuid(), chance.float()];
    };
    expect(draw(7)).toEqual(draw(7));
    expect(draw(7)).not.toEqual(draw(8));
  });

  it.each([
    ["seeded", seededChance(1)],
    ["system", systemChance],
  ])("(%s) keeps the promised forms", (_, chance) => {
    for (let round = 0; round < 200; round += 1) {
      const value = chance.float();
      expect(value >= 0 && value < 1).toBe(true);
      expect(chance.hex64()).toMatch(/^[0-9a-f]{16}$/);
      expect(chance.uuid()).toMatch(
        /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
      );
    }
  });
});
