import { describe, expect, it } from "vitest";
import { GeoSchedule } from "./pulsar/geo-schedule.ts";

const onlySeed = process.env["MESH_SIMULATION_SEED"];
const firstSeed = Number(onlySeed ?? 1);
const seedCount = Number(process.env["MESH_SIMULATION_SEEDS"] ?? (onlySeed === undefined ? 40 : 1));

async function failureOf(schedule: GeoSchedule, seed: number): Promise<string | undefined> {
  try {
    await schedule.run();
    return undefined;
  } catch (error) {
    return `seed ${seed}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`;
  }
}

describe("two regions on Pulsar whose replication drops messages", () => {
  it(
    `both have every event once in the end, in order but for what was repaired, over ${seedCount} schedules`,
    { timeout: 3_600_000 },
    async () => {
      const failures: string[] = [];
      let [dropped, repaired] = [0, 0];
      for (let seed = firstSeed; seed < firstSeed + seedCount && failures.length < 5; seed += 1) {
        const schedule = new GeoSchedule(seed);
        const failure = await failureOf(schedule, seed);
        if (failure !== undefined) failures.push(failure);
        dropped += schedule.dropped;
        repaired += schedule.repaired;
      }
      expect(failures).toEqual([]);
      expect(dropped).toBeGreaterThan(10 * seedCount);
      expect(repaired).toBeGreaterThan(10 * seedCount);
    },
  );
});
