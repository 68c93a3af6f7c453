import { compileFilter } from "@fleetmesh/cloud-runtime";
import { decodeStructured, type MeshEvent } from "@fleetmesh/core";
import { cpuMicros, figureOf, type Bench, type Figure } from "./bench.ts";
import { telemetryEvents } from "./telemetry-events.ts";

const eventCount = 1_000;
const roundCount = 300;
const runCount = 5;
const limits = { maxEventBytes: 262_144 };
const type = "com.example.vehicle.snapshot";

/** Two of three events match: every third is of another vehicle. */
function events(): MeshEvent[] {
  return telemetryEvents(eventCount).map((bytes, index) => ({
    ...decodeStructured(bytes, limits),
    type,
    subject: index % 3 === 0 ? `bus-${index}` : `veh-${index}`,
    extensions: [
      ["sequence", String(index + 10)],
      ["partitionkey", `veh-${index}`],
    ],
  }));
}

interface Case {
  readonly figure: string;
  readonly sql: string;
  /** An error in each evaluation, thrown and caught as the mesh does it. */
  readonly fails?: true;
}

const typical = "typical filter";

const cases: readonly Case[] = [
  {
    figure: typical,
    sql: `type = '${type}' AND subject LIKE 'veh-%' AND INT(sequence) > 5`,
  },
  {
    figure: "long filter",
    sql: `(source LIKE 'urn:%' OR source LIKE '%/vehicle/%') AND EXISTS subject AND type NOT IN ('a', 'b', 'c')
      AND (subject LIKE '%-%9_' OR LENGTH(CONCAT(UPPER(LEFT(subject, 3)), '-', sequence)) > 6) AND sequence % 7 <> 3`,
  },
  {
    figure: "values and negations",
    sql: "NOT (type IN ('a', 'b')) AND sequence >= 0 AND partitionkey <> subject OR EXISTS time",
  },
  { figure: "event lacks the attribute", sql: "color = 'red'", fails: true },
];

interface Prepared extends Case {
  readonly evaluateAll: () => void;
}

function prepared(one: Case, over: readonly MeshEvent[]): Prepared {
  const filter = compileFilter({ sql: one.sql });
  const evaluateAll = (): void => {
    let matchCount = 0;
    let errorCount = 0;
    let lastError: unknown;
    for (let round = 0; round < roundCount; round += 1)
      for (const event of over) {
        try {
          if (filter.matches(event)) matchCount += 1;
        } catch (error) {
          errorCount += 1;
          lastError = error;
        }
      }
    const isAsMeant = one.fails ? errorCount > 0 : errorCount === 0 && matchCount > 0;
    if (!isAsMeant)
      throw new Error(`${one.sql}: ${matchCount} matches, ${errorCount} errors`, {
        cause: lastError,
      });
  };
  return { ...one, evaluateAll };
}

/** What one evaluation of a filter in CESQL costs, over events of the simulator. */
export const cesqlEvalBench: Bench = {
  name: "cesql.eval",
  async run() {
    const over = events();
    const all = cases.map((one) => prepared(one, over));
    // All of them before any is measured: in a runtime no filter is the only one of its kind.
    for (const { evaluateAll } of all) evaluateAll();
    const figures: Figure[] = [];
    for (const { figure, evaluateAll } of all) {
      const runs: number[] = [];
      for (let run = 0; run < runCount; run += 1)
        runs.push((await cpuMicros(evaluateAll)) / (over.length * roundCount));
      const reach = { figure: `CPU of one evaluation, ${figure}`, unit: "µs" };
      figures.push(figureOf(figure === typical ? { ...reach, atMost: 2 } : reach, runs));
    }
    return figures;
  },
};
