import { figureOf, type Bench, type Figure } from "./bench.ts";
import { doorRate, sum, type DoorRate } from "./edge-door-rate.ts";
import { HttpBatchLoad } from "./edge-load.ts";
import { EdgeProcess, freePort } from "./edge-process.ts";
import { telemetryEvents } from "./telemetry-events.ts";

const connectionCount = 8;
const batchSize = 100;
const runMs = 4_000;
const topic = "vehicle.telemetry";

/** Batches of 100 events at the agent's HTTP door, one request in flight on each of 8 connections, its region away. */
export const edgeHttpBatchBench: Bench = {
  name: "edge.http.batch",
  async run() {
    const edge = await EdgeProcess.start(await freePort());
    try {
      return await measure(edge);
    } finally {
      await edge.stop();
    }
  },
};

async function measure(edge: EdgeProcess): Promise<Figure[]> {
  const events = telemetryEvents(20 * batchSize);
  const loads: HttpBatchLoad[] = [];
  for (let at = 0; at < connectionCount; at += 1)
    loads.push(await HttpBatchLoad.connect(edge, { events, topic, batchSize }));
  const work = async (): Promise<number> =>
    batchSize * sum(await Promise.all(loads.map((load) => load.run(runMs))));
  await work();
  const rates: DoorRate[] = [];
  for (let run = 0; run < 3; run += 1) rates.push(await doorRate(edge, work));
  for (const load of loads) load.close();
  return [
    figureOf(
      { figure: "HTTP batches of 100, 8 connections", unit: "ev/s", atLeast: 40_000 },
      rates.map(({ perSecond }) => perSecond),
    ),
    figureOf(
      { figure: "CPU of the agent an event", unit: "µs", atMost: 18 },
      rates.map(({ microsEach }) => microsEach),
    ),
  ];
}
