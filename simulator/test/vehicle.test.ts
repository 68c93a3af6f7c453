import { seededChance, SimulatedClock } from "@fleetmesh/core";
import { describe, expect, it } from "vitest";
import { Drive, Vehicle, type EventSink } from "../src/index.ts";

function vehicle(sink: EventSink): { clock: SimulatedClock; vehicle: Vehicle } {
  const clock = new SimulatedClock();
  const drive = new Drive({ chance: seededChance(1), pseudonym: "a" });
  const advance = drive.advance.bind(drive);
  return { clock, vehicle: new Vehicle({ name: "v", clock, rate: 10, sink, advance }) };
}

const never = new AbortController().signal;

describe("a vehicle", () => {
  it("hands its events to the sink at its rate until it is stopped", async () => {
    const topics: string[] = [];
    const { clock, vehicle: car } = vehicle((topic) => {
      topics.push(topic);
      return Promise.resolve();
    });
    await car.start();
    await clock.advance(2000);
    await car.stop(never);
    expect(topics.length).toBeGreaterThanOrEqual(19);
    expect(topics.length).toBeLessThanOrEqual(22);
    await clock.advance(2000);
    expect(car.counts).toEqual({ sent: topics.length, refused: 0 });
  });

  it("has at most one event waiting at a slow sink", async () => {
    let waiting = 0;
    const { clock, vehicle: car } = vehicle(() => {
      waiting += 1;
      return new Promise(() => undefined);
    });
    await car.start();
    await clock.advance(5000);
    expect(waiting).toBe(1);
    const late = new AbortController();
    const stopped = car.stop(late.signal);
    late.abort();
    await stopped;
  });

  it("drives on when the sink refuses, and counts it", async () => {
    const { clock, vehicle: car } = vehicle(() => Promise.reject(new Error("full")));
    await car.start();
    await clock.advance(1000);
    await car.stop(never);
    await car.stop(never);
    expect(car.counts.sent).toBe(0);
    expect(car.counts.refused).toBeGreaterThanOrEqual(9);
  });
});
