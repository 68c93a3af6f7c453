import { describe, expect, it } from "vitest";
import { RestoreSchedule } from "./restore/restore-schedule.ts";

/** SIM_SEED and SIM_COUNT as in the simulation of the whole path. */
const onlySeed = process.env["SIM_SEED"];
const firstSeed = Number(onlySeed ?? 1);
const seedCount = Number(process.env["SIM_COUNT"] ?? (onlySeed === undefined ? 1_000 : 1));
const failuresMax = 5;

async function failureOf(seed: number): Promise<string | undefined> {
  const schedule = new RestoreSchedule(seed);
  try {
    await schedule.run();
    return undefined;
  } catch (error) {
    if (onlySeed !== undefined) process.stderr.write(`${schedule.trace.text(150)}\n`);
    return `seed ${seed}: ${error instanceof Error ? error.message : String(error)}`;
  }
}

describe("an agent whose buffer is put back to older images of itself", () => {
  it(
    `loses nothing that the buffer remembers, and gives no two events one id, over ${seedCount} schedules`,
    { timeout: 24 * 3_600_000 },
    async () => {
      const failures: string[] = [];
      for (let seed = firstSeed; seed < firstSeed + seedCount; seed += 1) {
        const failure = await failureOf(seed);
        if (failure !== undefined) failures.push(failure);
        if (failures.length >= failuresMax) break;
      }
      expect(failures).toEqual([]);
    },
  );
});
