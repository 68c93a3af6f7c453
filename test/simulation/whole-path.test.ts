import { describe, expect, it } from "vitest";
import { PathSchedule } from "./path/path-schedule.ts";
import { regressions } from "./path/regressions.ts";

/**
 * SIM_SEED runs that one seed (or, with SIM_COUNT, as many from it on); SIM_COUNT alone runs so many from 1 on. When neither is
 * asked for, a busy machine runs as many of the thousand as it can in the time that a test run has for them.
 */
const onlySeed = process.env["SIM_SEED"];
const firstSeed = Number(onlySeed ?? 1);
const seedCount = Number(process.env["SIM_COUNT"] ?? (onlySeed === undefined ? 1_000 : 1));
const isAsked = onlySeed !== undefined || process.env["SIM_COUNT"] !== undefined;
const budgetMs = isAsked ? Infinity : 45_000;
const traceLineCount = Number(process.env["SIM_TRACE"] ?? 150);
const failuresMax = Number(process.env["SIM_MAX"] ?? 5);

interface Failure {
  readonly seed: number;
  readonly reason: string;
  readonly trace: string;
}

async function failureOf(seed: number): Promise<Failure | undefined> {
  const schedule = new PathSchedule(seed);
  try {
    await schedule.run();
    return undefined;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return { seed, reason, trace: schedule.trace.text(traceLineCount) };
  }
}

function report(failures: readonly Failure[]): void {
  const [first] = failures;
  if (first === undefined) return;
  const others = failures.slice(1).map(({ seed, reason }) => `seed ${seed}: ${reason}\n`);
  const { seed, reason, trace } = first;
  process.stderr.write(`${others.join("")}seed ${seed}: ${reason}\n${trace}\n`);
  process.stderr.write(`Again: SIM_SEED=${seed} npx vitest run test/simulation/whole-path\n`);
}

describe("agents, broker, region and targets under seeded faults", () => {
  it(
    `lose nothing acknowledged, keep order, balance every book and come to rest, over up to ${seedCount} schedules`,
    { timeout: 24 * 3_600_000 },
    async () => {
      const failures: Failure[] = [];
      const startedMs = performance.now();
      for (let seed = firstSeed; seed < firstSeed + seedCount; seed += 1) {
        const failure = await failureOf(seed);
        if (failure !== undefined) failures.push(failure);
        const isLate = performance.now() - startedMs > budgetMs;
        if (isLate || failures.length >= failuresMax) break;
      }
      report(failures);
      expect(failures.map(({ seed, reason }) => `seed ${seed}: ${reason}`)).toEqual([]);
    },
  );

  it.each([...regressions])("still pass seed %i, which once showed: %s", async (seed) => {
    const failure = await failureOf(seed);
    report(failure === undefined ? [] : [failure]);
    expect(failure?.reason).toBeUndefined();
  });
});
