import { figureOf, type Bench, type Figure } from "./bench.ts";
import { ingestRates } from "./ingest-rates.ts";
import { PulsarProcess } from "./pulsar-process.ts";
import { RegionProcess } from "./region-process.ts";

/** Events a second that each client has to reach, and how long a run is. */
const plans = [
  { client: "binary", atLeast: 12_000, batchesEach: 150 },
  { client: "websocket", atLeast: 3_000, batchesEach: 50 },
] as const;

/** Batches of 100 from several agents over MQTT into a real Pulsar, each acknowledged when its brokers have it. */
export const pulsarIngestBench: Bench = {
  name: "pulsar.ingest",
  async run(): Promise<Figure[]> {
    const pulsar = await PulsarProcess.start();
    if (typeof pulsar === "string") {
      process.stderr.write(`pulsar.ingest is left out: ${pulsar}\n`);
      return [];
    }
    try {
      const figures: Figure[] = [];
      for (const plan of plans) figures.push(...(await ingest(pulsar, plan)));
      return figures;
    } finally {
      await pulsar.close();
    }
  },
};

async function ingest(
  pulsar: PulsarProcess,
  { client, atLeast, batchesEach }: (typeof plans)[number],
): Promise<Figure[]> {
  const region = await RegionProcess.start(pulsar.store(client));
  try {
    const results = await ingestRates(region, batchesEach);
    return [
      figureOf(
        { figure: `ingest, ${client} client`, unit: "ev/s", atLeast },
        results.map(({ perSecond }) => perSecond),
      ),
      figureOf(
        { figure: `CPU of the runtime, an event, ${client} client`, unit: "µs" },
        results.map(({ cpuMicros }) => cpuMicros),
      ),
    ];
  } finally {
    await region.stop();
  }
}
