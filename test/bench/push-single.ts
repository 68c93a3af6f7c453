import { bareLoop } from "./bare-loop.ts";
import { figureOf, type Bench, type Figure } from "./bench.ts";
import { pushRate, type PushRate } from "./push-rate.ts";
import { RegionProcess } from "./region-process.ts";
import { SinkProcess } from "./sink-process.ts";

const eventCount = 30_000;
const runCount = 3;

/** What is stored, pushed to an HTTP sink one event a request, beside a bare loop of the same client in turns. */
export const pushSingleBench: Bench = {
  name: "push.single",
  async run(): Promise<Figure[]> {
    const [region, sink] = await Promise.all([RegionProcess.start(), SinkProcess.start()]);
    const pushes: PushRate[] = [];
    const bares: PushRate[] = [];
    try {
      // The first run warms up.
      await pushRate({ region, sink, eventCount, run: 1 });
      for (let run = 2; run < 2 + runCount; run += 1) {
        bares.push(await bareLoop(sink, eventCount));
        pushes.push(await pushRate({ region, sink, eventCount, run }));
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
