import { AgentBacklog, AgentLoad } from "./agent-load.ts";
import type { RegionProcess } from "./region-process.ts";

const agentCount = 4;
const runCount = 3;

export interface IngestRate {
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

/** Batches of 100 from several agents over MQTT, each acknowledged when it is durable: so many runs behind one that warms up. */
export async function ingestRates(
  region: RegionProcess,
  batchesEach: number,
): Promise<IngestRate[]> {
  const backlogs = Array.from({ length: agentCount }, (_, index) => backlogOf(index, batchesEach));
  const eventCount = backlogs.reduce((sum, backlog) => sum + backlog.eventCount, 0);
  const loads = await Promise.all(backlogs.map((backlog) => AgentLoad.connect(region, backlog)));
  const results: IngestRate[] = [];
  // The first pass warms up.
  for (let pass = 1; pass <= 1 + runCount; pass += 1) {
    const { seconds, cpuMicros } = await measure(region, { loads, pass });
    if (pass === 1) continue;
    results.push({ perSecond: eventCount / seconds, cpuMicros: cpuMicros / eventCount });
  }
  for (const load of loads) load.close();
  return results;
}

function backlogOf(index: number, batchCount: number): AgentBacklog {
  const plan = { agentId: `vehicle-${index}`, topic: "vehicle.telemetry", seed: index + 1 };
  return new AgentBacklog({ ...plan, batchCount, subjectCount: 1 });
}
