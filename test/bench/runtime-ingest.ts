import { figureOf, type Bench, type Figure } from "./bench.ts";
import { ingestRates } from "./ingest-rates.ts";
import { RegionProcess } from "./region-process.ts";

const batchesEach = 200;

/** Batches of 100 from several agents over MQTT into the region's store on the disk, each acknowledged when it is durable. */
export const runtimeIngestBench: Bench = {
  name: "runtime.ingest",
  async run(): Promise<Figure[]> {
    const region = await RegionProcess.start();
    try {
      const results = await ingestRates(region, batchesEach);
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
