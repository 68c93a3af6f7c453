import { figureOf, type Bench, type Figure } from "./bench.ts";
import { EdgeProcess } from "./edge-process.ts";
import { latencies, OpenLoad, percentile } from "./open-load.ts";
import { RegionProcess } from "./region-process.ts";
import { SinkProcess } from "./sink-process.ts";

const topic = "vehicle.telemetry";
const runSeconds = 8;
const warmUpSeconds = 4;
const runCount = 3;

/** From the edge's door over both disks to the subscriber, each in a process of its own. */
export const endToEndBench: Bench = {
  name: "e2e",
  async run(): Promise<Figure[]> {
    const [region, sink] = await Promise.all([RegionProcess.start(), SinkProcess.start()]);
    await region.subscribe({ id: "e2e", topic, sink: sink.url, start: "earliest", windowMax: 32 });
    const edge = await EdgeProcess.start(region.mqttPort, region.token);
    const runs: number[][] = [];
    try {
      const load = await OpenLoad.connect(edge, topic);
      await latencies(load, sink, warmUpSeconds);
      for (let run = 0; run < runCount; run += 1)
        runs.push(await latencies(load, sink, runSeconds));
      load.close();
    } finally {
      await edge.stop();
      await Promise.all([region.stop(), sink.stop()]);
    }
    const at = (percent: number): number[] => runs.map((run) => percentile(run, percent));
    return [
      figureOf({ figure: "p50", unit: "ms", atMost: 15 }, at(50)),
      figureOf({ figure: "p99", unit: "ms", atMost: 60 }, at(99)),
    ];
  },
};
