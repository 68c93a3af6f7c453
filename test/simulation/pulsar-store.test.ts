import { describe, expect, it } from "vitest";
import { PulsarSchedule } from "./pulsar/pulsar-schedule.ts";

const onlySeed = process.env["MESH_SIMULATION_SEED"];
const firstSeed = Number(onlySeed ?? 1);
const seedCount = Number(
  process.env["MESH_SIMULATION_SEEDS"] ?? (onlySeed === undefined ? 300 : 1),
);

async function failureOf(seed: number): Promise<string | undefined> {
  try {
    await new PulsarSchedule(seed).run();
    return undefined;
  } catch (error) {
    return `seed ${seed}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`;
  }
}

describe("the store on Pulsar under seeded faults", () => {
  it(
    `loses nothing acknowledged, gives nothing out twice, keeps order and balances its ledger, over ${seedCount} schedules`,
    { timeout: 3_600_000 },
    async () => {
      const failures: string[] = [];
      for (let seed = firstSeed; seed < firstSeed + seedCount && failures.length < 5; seed += 1) {
        const failure = await failureOf(seed);
        if (failure !== undefined) failures.push(failure);
      }
      expect(failures).toEqual([]);
    },
  );
});
