import { seededChance } from "@fleetmesh/core";
import { describe, expect, it } from "vitest";
import { Drive, type TopicEvent } from "../src/index.ts";

function drive(seed: number, seconds: number): TopicEvent[] {
  const drive = new Drive({ chance: seededChance(seed), pseudonym: "abc" });
  const events: TopicEvent[] = [];
  for (let second = 0; second < seconds; second += 1)
    events.push(...drive.advance(1, Date.UTC(2026, 0, 1) + second * 1000));
  return events;
}

function signalsOf({ event }: TopicEvent): Record<string, number> {
  return JSON.parse(Buffer.from(event.data ?? []).toString()) as Record<string, number>;
}

function telemetry(seed: number, seconds: number): Record<string, number>[] {
  return drive(seed, seconds)
    .filter(({ topic }) => topic === "vehicle.telemetry")
    .map(signalsOf);
}

/** The largest change of a signal from one second to the next. */
function largestStep(rows: readonly Record<string, number>[], name: string): number {
  let largest = 0;
  rows.forEach((row, index) => {
    const before = rows[index - 1]?.[name];
    if (before !== undefined) largest = Math.max(largest, Math.abs((row[name] ?? NaN) - before));
  });
  return largest;
}

describe("a simulated drive", () => {
  it("is the same for the same seed and another for another", () => {
    expect(drive(4, 120)).toEqual(drive(4, 120));
    expect(drive(4, 120)).not.toEqual(drive(5, 120));
  });

  it("sends telemetry of at least ten VSS signals and 500 bytes", () => {
    for (const { event } of drive(1, 20)) {
      expect(event.data?.length).toBeGreaterThan(500);
      expect(event).toMatchObject({ source: "urn:vehicle:abc", subject: "abc", dataKind: "json" });
    }
    const [first = {}] = telemetry(1, 1);
    expect(Object.keys(first).length).toBeGreaterThanOrEqual(10);
    for (const name of Object.keys(first)) expect(name).toMatch(/^Vehicle(\.[A-Z][A-Za-z0-9]*)+$/);
  });

  it("moves as a car can: no jump in speed, place, charge or temperature", () => {
    for (const seed of [1, 2, 3]) {
      const rows = telemetry(seed, 1800);
      expect(largestStep(rows, "Vehicle.Speed")).toBeLessThan(26);
      expect(largestStep(rows, "Vehicle.CurrentLocation.Latitude")).toBeLessThan(30 / 111_320);
      expect(largestStep(rows, "Vehicle.CurrentLocation.Longitude")).toBeLessThan(30 / 95_000);
      const pack = "Vehicle.Powertrain.TractionBattery";
      expect(largestStep(rows, `${pack}.StateOfCharge.Current`)).toBeLessThanOrEqual(0.21);
      expect(largestStep(rows, `${pack}.Temperature.Average`)).toBeLessThanOrEqual(0.5);
      const speeds = rows.map((row) => row["Vehicle.Speed"] ?? NaN);
      expect(Math.max(...speeds)).toBeGreaterThan(45);
      expect(Math.max(...speeds)).toBeLessThan(90);
      expect(Math.min(...speeds)).toBe(0);
    }
  });

  it("covers on the road what its speed says", () => {
    const rows = telemetry(6, 900);
    const km = rows.reduce((sum, row) => sum + (row["Vehicle.Speed"] ?? 0) / 3600, 0);
    const odometer = "Vehicle.TraveledDistance";
    const shown = (rows.at(-1)?.[odometer] ?? 0) - (rows[0]?.[odometer] ?? 0);
    expect(Math.abs(shown - km)).toBeLessThan(0.2);
  });

  it("tells of trips and alerts now and then", () => {
    const topics = new Set(drive(2, 7200).map(({ topic }) => topic));
    expect([...topics].sort()).toEqual(["vehicle.alert", "vehicle.telemetry", "vehicle.trip"]);
  });

  it("gives ids of its own only when asked to", () => {
    const own = new Drive({ chance: seededChance(1), pseudonym: "a", ids: "uuid" }).advance(1, 0);
    expect(own[0]?.event.id).toMatch(/^[0-9a-f-]{36}$/);
    expect(drive(1, 1)[0]?.event.id).toBe("");
  });
});
