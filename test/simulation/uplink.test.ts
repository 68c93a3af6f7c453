import { describe, expect, it } from "vitest";
import { UplinkSchedule } from "./uplink-schedule.ts";

/** Seeds that once failed, kept for good. 1171: an event that came while an older read-ahead was used waited for ever. */
const regressions: readonly number[] = [1171];
const seedCount = Number(process.env["MESH_SIMULATION_SEEDS"] ?? 1_500);
const firstSeed = Number(process.env["MESH_SIMULATION_FIRST_SEED"] ?? 1);

async function failureOf(seed: number): Promise<string | undefined> {
  try {
    await new UplinkSchedule(seed).run();
    return undefined;
  } catch (error) {
    return `seed ${seed}: ${error instanceof Error ? error.message : String(error)}`;
  }
}

describe("uplink under seeded faults", () => {
  it(
    `loses nothing acknowledged, stores once and in order, and balances its ledger, over ${seedCount} schedules`,
    { timeout: 170_000 },
    async () => {
      const failures: string[] = [];
      for (let seed = firstSeed; seed < firstSeed + seedCount && failures.length < 5; seed += 1) {
        const failure = await failureOf(seed);
        if (failure !== undefined) failures.push(failure);
      }
      expect(failures).toEqual([]);
    },
  );

  it.each(regressions)("still passes seed %i", async (seed) => {
    expect(await failureOf(seed)).toBeUndefined();
  });
});
