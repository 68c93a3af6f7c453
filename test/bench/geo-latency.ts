import { figureOf, type Bench, type Figure } from "./bench.ts";
import { BrokerPath } from "./broker-path.ts";
import { DevPulsarMesh } from "./dev-pulsar-mesh.ts";
import { latencies, OpenLoad, percentile } from "./open-load.ts";
import { SinkProcess } from "./sink-process.ts";

const topic = "geo.latency";
const runSeconds = 8;
const warmUpSeconds = 4;
const runCount = 3;

/**
 * Published at a door of cn-east, pushed to a sink by cn-west, through the replication of two real Pulsars; and beside it, in
 * turns, what one broker takes to bring a message to the other.
 */
export const geoLatencyBench: Bench = {
  name: "geo.latency",
  async run(): Promise<Figure[]> {
    const mesh = await DevPulsarMesh.start();
    if (typeof mesh === "string") {
      process.stderr.write(`geo.latency is left out: ${mesh}\n`);
      return [];
    }
    const sink = await SinkProcess.start();
    try {
      return await measure(mesh, sink);
    } finally {
      await Promise.all([mesh.stop(), sink.stop()]);
    }
  },
};

async function measure(mesh: DevPulsarMesh, sink: SinkProcess): Promise<Figure[]> {
  await mesh.link({ topic, sink });
  const load = await OpenLoad.connect(mesh.east, topic);
  const path = await BrokerPath.open(mesh.pulsars);
  const [pushed, carried]: number[][][] = [[], []];
  await latencies(load, sink, warmUpSeconds);
  await path.latencies(warmUpSeconds);
  for (let run = 0; run < runCount; run += 1) {
    pushed?.push(await latencies(load, sink, runSeconds));
    carried?.push(await path.latencies(runSeconds));
  }
  load.close();
  await path.close();
  const at = (runs: number[][] = [], percent: number) =>
    runs.map((run) => percentile(run, percent));
  const [through, between] = [at(pushed, 99), at(carried, 99)];
  const added = through.map((value, run) => value - (between[run] ?? NaN));
  return [
    figureOf({ figure: "east's door to west's sink, p50", unit: "ms" }, at(pushed, 50)),
    figureOf({ figure: "east's door to west's sink, p99", unit: "ms" }, through),
    figureOf({ figure: "broker to broker alone, p50", unit: "ms" }, at(carried, 50)),
    figureOf({ figure: "broker to broker alone, p99", unit: "ms" }, between),
    figureOf({ figure: "what the mesh adds, p99", unit: "ms", atMost: 20 }, added),
  ];
}
