import { figureOf, type Bench, type Figure } from "./bench.ts";
import { pushTurns } from "./push-turns.ts";

/** What is stored, pushed to an HTTP sink one event a request, beside a bare loop of the same client in turns. */
export const pushSingleBench: Bench = {
  name: "push.single",
  async run(): Promise<Figure[]> {
    const { pushes, bares } = await pushTurns();
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
