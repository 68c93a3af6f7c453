import { figureOf, type Bench, type Figure } from "./bench.ts";
import { doorRate, sum, type DoorRate } from "./edge-door-rate.ts";
import { MqttLoad } from "./edge-load.ts";
import { EdgeProcess, freePort } from "./edge-process.ts";
import { fsyncMillis } from "./fsync-latency.ts";
import { meanDataBytes, telemetryEvents } from "./telemetry-events.ts";

const connectionCount = 4;
const inFlight = 64;
const runMs = 4_000;
const topic = "vehicle.telemetry";

/** Durable acknowledgements at the agent's MQTT door, its region away: every event stays in the buffer on the disk. */
export const edgeMqttBench: Bench = {
  name: "edge.mqtt",
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
  const events = telemetryEvents(1_024);
  const loads: MqttLoad[] = [];
  for (let at = 0; at < connectionCount; at += 1)
    loads.push(await MqttLoad.connect(edge, { events: events.slice(256 * at), topic, inFlight }));
  const work = async (): Promise<number> =>
    sum(await Promise.all(loads.map((load) => load.run(runMs))));
  await work();
  const fsyncs = [fsyncMillis()];
  const rates: DoorRate[] = [];
  for (let run = 0; run < 3; run += 1) {
    rates.push(await doorRate(edge, work));
    fsyncs.push(fsyncMillis());
  }
  for (const load of loads) load.close();
  return [
    figureOf({ figure: "data of an event", unit: "B" }, [meanDataBytes(events)]),
    figureOf({ figure: "4 KiB append and fsync here", unit: "ms" }, fsyncs),
    figureOf(
      { figure: "durable acks, 4 connections × 64 in flight", unit: "ev/s", atLeast: 14_000 },
      rates.map(({ perSecond }) => perSecond),
    ),
    figureOf(
      { figure: "CPU of the agent an event", unit: "µs", atMost: 60 },
      rates.map(({ microsEach }) => microsEach),
    ),
  ];
}
