import { describe, expect, it } from "vitest";
import { GroupSchedule, type GroupOptions } from "./pulsar/group-schedule.ts";

const onlySeed = process.env["MESH_SIMULATION_SEED"];
const firstSeed = Number(onlySeed ?? 1);
const seedCount = Number(process.env["MESH_SIMULATION_SEEDS"] ?? (onlySeed === undefined ? 40 : 1));
const harsh: GroupOptions = { dropProbability: 0.05, failProbability: 0.1, answerMsMax: 300 };
const calm: GroupOptions = { dropProbability: 0, failProbability: 0, answerMsMax: 50 };

const missing = ({ published, taken }: GroupSchedule): string[] => {
  const had = new Set(taken);
  return published.filter((id) => !had.has(id));
};

describe("a consumer group that moves between regions", () => {
  it("is given every event once when it moves in order: nothing is missing, nothing comes twice", async () => {
    const schedule = new GroupSchedule(firstSeed, calm);
    await schedule.begin();
    for (let round = 0; round < 6; round += 1) {
      for (const side of ["cn-east", "cn-west"] as const) void schedule.publish(side, 10);
      await schedule.pass(700);
      await schedule.move("in order");
    }
    await schedule.pass(10_000);
    await schedule.end();
    expect([...schedule.taken].sort()).toEqual([...schedule.published].sort());
    expect(schedule.published.length).toBe(122);
  });

  it(
    `misses nothing, however it moves, when events are lost on the way, refused and late, over ${seedCount} schedules`,
    { timeout: 3_600_000 },
    async () => {
      const failures: string[] = [];
      let [moves, published, taken] = [0, 0, 0];
      for (let seed = firstSeed; seed < firstSeed + seedCount && failures.length < 5; seed += 1) {
        const schedule = new GroupSchedule(seed, harsh);
        await schedule.begin();
        await schedule.run();
        await schedule.end();
        const lost = missing(schedule);
        if (lost.length > 0) failures.push(`seed ${seed}: ${lost.join(" ")}`);
        moves += schedule.moves;
        published += schedule.published.length;
        taken += schedule.taken.length;
      }
      expect(failures).toEqual([]);
      expect(moves).toBeGreaterThan(2 * seedCount);
      // A group that began anew at each move would be given most of them again.
      expect(taken).toBeLessThan(1.3 * published);
    },
  );
});
