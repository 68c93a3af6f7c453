import { figureOf, type Bench, type Figure } from "./bench.ts";
import { PulsarProcess } from "./pulsar-process.ts";
import { pushRate, type PushRate } from "./push-rate.ts";
import { RegionProcess } from "./region-process.ts";
import { SinkProcess } from "./sink-process.ts";

const eventCount = 20_000;
const runCount = 3;

/** What is stored in a real Pulsar, pushed to an HTTP sink one event a request. */
export const pulsarDeliverBench: Bench = {
  name: "pulsar.deliver",
  async run(): Promise<Figure[]> {
    const pulsar = await PulsarProcess.start();
    if (typeof pulsar === "string") {
      process.stderr.write(`pulsar.deliver is left out: ${pulsar}\n`);
      return [];
    }
    const sink = await SinkProcess.start();
    try {
      return await deliver(pulsar, sink);
    } finally {
      await Promise.all([pulsar.close(), sink.stop()]);
    }
  },
};

async function deliver(pulsar: PulsarProcess, sink: SinkProcess): Promise<Figure[]> {
  const region = await RegionProcess.start(pulsar.store("binary"));
  const rates: PushRate[] = [];
  try {
    // The first run warms up.
    for (let run = 1; run <= 1 + runCount; run += 1) {
      const rate = await pushRate({ region, sink, eventCount, run });
      if (run > 1) rates.push(rate);
    }
  } finally {
    await region.stop();
  }
  return [
    figureOf(
      { figure: "deliveries, one event a request", unit: "/s" },
      rates.map(({ perSecond }) => perSecond),
    ),
    figureOf(
      { figure: "CPU of the runtime, an event", unit: "µs" },
      rates.map(({ cpuMicros }) => cpuMicros),
    ),
  ];
}
