import { randomBytes } from "node:crypto";
import { figureOf, type Bench, type Figure } from "./bench.ts";
import { pushTurns } from "./push-turns.ts";

/** As push.single, each push with a Standard Webhooks signature (v1), beside a bare loop that signs, in turns. */
export const pushSignedBench: Bench = {
  name: "push.signed",
  async run(): Promise<Figure[]> {
    const { pushes, bares } = await pushTurns(randomBytes(32).toString("base64"));
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
