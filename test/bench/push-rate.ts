import { AgentBacklog, AgentLoad, batchSize } from "./agent-load.ts";
import type { RegionProcess } from "./region-process.ts";
import type { SinkProcess } from "./sink-process.ts";

/** The default of a subscription. */
export const windowMax = 32;

export interface PushRate {
  readonly perSecond: number;
  readonly cpuMicros: number;
}

interface PushPlan {
  readonly region: RegionProcess;
  readonly sink: SinkProcess;
  readonly eventCount: number;
  /** Each has a topic, an agent and a subscription of its own. */
  readonly run: number;
  /** The pushes are signed with it. */
  readonly secret?: string;
}

/** Stores the events first, and then lets a new subscription take them from the first on. */
export async function pushRate({
  region,
  sink,
  eventCount,
  run,
  secret,
}: PushPlan): Promise<PushRate> {
  const topic = `push.run-${run}`;
  const backlog = new AgentBacklog({
    ...{ agentId: `pusher-${run}`, topic, seed: run },
    batchCount: eventCount / batchSize,
    subjectCount: 250,
  });
  const load = await AgentLoad.connect(region, backlog);
  await load.run(1);
  load.close();
  const { reached } = await sink.expect(eventCount);
  const cpuBefore = region.cpuMicros();
  const startedMs = performance.now();
  const id = `run-${run}`;
  await region.subscribe({ id, topic, sink: sink.url, start: "earliest", windowMax, secret });
  await reached;
  const seconds = (performance.now() - startedMs) / 1000;
  const cpuMicros = (region.cpuMicros() - cpuBefore) / eventCount;
  await region.unsubscribe(id);
  return { perSecond: eventCount / seconds, cpuMicros };
}
