import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { AgentBacklog, AgentLoad, batchSize } from "./agent-load.ts";
import { figureOf, type Bench, type Figure } from "./bench.ts";
import { RegionProcess } from "./region-process.ts";
import { SinkProcess } from "./sink-process.ts";

const eventCount = 30_000;
const runCount = 3;
/** The default of a subscription. */
const windowMax = 32;

interface Rate {
  readonly perSecond: number;
  readonly cpuMicros: number;
}

async function bareLoop(sink: SinkProcess): Promise<Rate> {
  const entry = fileURLToPath(new URL("bare-push-main.js", import.meta.url));
  const numbers = [sink.port, windowMax, eventCount].map(String);
  const child = fork(entry, numbers, { env: { ...process.env, NODE_OPTIONS: "" } });
  const [rate] = (await once(child, "message")) as [Rate];
  if (child.exitCode === null) await once(child, "exit");
  return rate;
}

/** Stores the events first, and then lets a new subscription take them from the first on. */
async function pushed(region: RegionProcess, sink: SinkProcess, run: number): Promise<Rate> {
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
  await region.subscribe({ id, topic, sink: sink.url, start: "earliest", windowMax });
  await reached;
  const seconds = (performance.now() - startedMs) / 1000;
  const cpuMicros = (region.cpuMicros() - cpuBefore) / eventCount;
  await region.unsubscribe(id);
  return { perSecond: eventCount / seconds, cpuMicros };
}

/** What is stored, pushed to an HTTP sink one event a request, beside a bare loop of the same client in turns. */
export const pushSingleBench: Bench = {
  name: "push.single",
  async run(): Promise<Figure[]> {
    const [region, sink] = await Promise.all([RegionProcess.start(), SinkProcess.start()]);
    const pushes: Rate[] = [];
    const bares: Rate[] = [];
    try {
      // The first run warms up.
      await pushed(region, sink, 1);
      for (let run = 2; run < 2 + runCount; run += 1) {
        bares.push(await bareLoop(sink));
        pushes.push(await pushed(region, sink, run));
      }
    } finally {
      await Promise.all([region.stop(), sink.stop()]);
    }
    const bareCpu = bares.map(({ cpuMicros }) => cpuMicros);
    const cpu = pushes.map(({ cpuMicros }) => cpuMicros);
    return [
      figureOf(
        { figure: "deliveries, one event a request", unit: "/s", atLeast: 9_000 },
        pushes.map(({ perSecond }) => perSecond),
      ),
      figureOf({ figure: "CPU of the runtime, an event", unit: "µs" }, cpu),
      figureOf({ figure: "CPU of the bare loop, a request", unit: "µs" }, bareCpu),
      figureOf(
        { figure: "bare loop, requests", unit: "/s" },
        bares.map(({ perSecond }) => perSecond),
      ),
      figureOf(
        { figure: "CPU of the runtime beside the bare loop's", unit: "×", atMost: 1.5 },
        cpu.map((micros, run) => micros / (bareCpu[run] ?? NaN)),
      ),
    ];
  },
};
