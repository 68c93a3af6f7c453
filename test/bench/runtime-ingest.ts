import { AgentBacklog, AgentLoad } from "./agent-load.ts";
import { figureOf, type Bench, type Figure } from "./bench.ts";
import { RegionProcess } from "./region-process.ts";

const agentCount = 4;
const batchesEach = 200;
const runCount = 3;

interface Run {
  readonly perSecond: number;
  readonly cpuMicros: number;
}

async function measure(
  region: RegionProcess,
  { loads, pass }: { readonly loads: readonly AgentLoad[]; readonly pass: number },
): Promise<{ readonly seconds: number; readonly cpuMicros: number }> {
  const cpuBefore = region.cpuMicros();
  const startedMs = performance.now();
  await Promise.all(loads.map((load) => load.run(pass)));
  const seconds = (performance.now() - startedMs) / 1000;
  return { seconds, cpuMicros: region.cpuMicros() - cpuBefore };
}

async function runs(region: RegionProcess, backlogs: readonly AgentBacklog[]): Promise<Run[]> {
  const eventCount = backlogs.reduce((sum, backlog) => sum + backlog.eventCount, 0);
  const loads = await Promise.all(backlogs.map((backlog) => AgentLoad.connect(region, backlog)));
  const results: Run[] = [];
  // The first pass warms up.
  for (let pass = 1; pass <= 1 + runCount; pass += 1) {
    const { seconds, cpuMicros } = await measure(region, { loads, pass });
    if (pass === 1) continue;
    results.push({ perSecond: eventCount / seconds, cpuMicros: cpuMicros / eventCount });
  }
  for (const load of loads) load.close();
  return results;
}

/** Batches of 100 from several agents over MQTT into the region's store on the disk, each acknowledged when it is durable. */
export const runtimeIngestBench: Bench = {
  name: "runtime.ingest",
  async run(): Promise<Figure[]> {
    const backlogs = Array.from(
      { length: agentCount },
      (_, index) =>
        new AgentBacklog({
          agentId: `vehicle-${index}`,
          topic: "vehicle.telemetry",
          batchCount: batchesEach,
          seed: index + 1,
          subjectCount: 1,
        }),
    );
    const region = await RegionProcess.start();
    try {
      const results = await runs(region, backlogs);
      return [
        figureOf(
          { figure: "ingest", unit: "ev/s", atLeast: 30_000 },
          results.map(({ perSecond }) => perSecond),
        ),
        figureOf(
          { figure: "CPU of the runtime, an event", unit: "µs", atMost: 25 },
          results.map(({ cpuMicros }) => cpuMicros),
        ),
      ];
    } finally {
      await region.stop();
    }
  },
};
