import { randomBytes } from "node:crypto";
import { bareLoop } from "./bare-loop.ts";
import { figureOf, type Bench, type Figure } from "./bench.ts";
import { pushRate, type PushRate } from "./push-rate.ts";
import { RegionProcess } from "./region-process.ts";
import { SinkProcess } from "./sink-process.ts";

const eventCount = 30_000;
const runCount = 3;

/** As push.single, each push with a Standard Webhooks signature (v1), beside a bare loop that signs, in turns. */
export const pushSignedBench: Bench = {
  name: "push.signed",
  async run(): Promise<Figure[]> {
    const key = randomBytes(32).toString("base64");
    const [region, sink] = await Promise.all([RegionProcess.start(), SinkProcess.start()]);
    const plan = { region, sink, eventCount, secret: `whsec_${key}` };
    const pushes: PushRate[] = [];
    const bares: PushRate[] = [];
    try {
      // The first run warms up.
      await pushRate({ ...plan, run: 1 });
      for (let run = 2; run < 2 + runCount; run += 1) {
        bares.push(await bareLoop(sink, eventCount, key));
        pushes.push(await pushRate({ ...plan, run }));
      }
    } finally {
      await Promise.all([region.stop(), sink.stop()]);
    }
    const bareCpu = bares.map(({ cpuMicros }) => cpuMicros);
    const cpu = pushes.map(({ cpuMicros }) => cpuMicros);
    return [
      figureOf(
        { figure: "signed deliveries, one event a request", unit: "/s", atLeast: 8_000 },
        pushes.map(({ perSecond }) => perSecond),
      ),
      figureOf({ figure: "CPU of the runtime, an event", unit: "µs" }, cpu),
      figureOf({ figure: "CPU of the bare signing loop, a request", unit: "µs" }, bareCpu),
      figureOf(
        { figure: "CPU of the runtime beside the bare signing loop's", unit: "×", atMost: 1.5 },
        cpu.map((micros, run) => micros / (bareCpu[run] ?? NaN)),
      ),
    ];
  },
};
