import { availableParallelism } from "node:os";
import { seededChance, systemClock, type MeshEvent } from "@fleetmesh/core";
import {
  compileTransform,
  stepsOf,
  Transforms,
  transformLimitsDefault,
  type TransformSpec,
} from "@fleetmesh/cloud-runtime";
import { Drive } from "@fleetmesh/simulator";
import { Registry } from "prom-client";
import { cpuMicros, figureOf, type Bench, type Figure } from "./bench.ts";

const eventCount = 2_000;
const runCount = 3;
/** The default window of a subscription: so many are under way at once. */
const windowMax = 32;
const startMs = Date.UTC(2026, 0, 1);

/** The same three fields of an event, said in each of the ways. */
const rules: Readonly<Record<string, TransformSpec>> = {
  template: {
    template: {
      type: "speed",
      data: { kmh: "$.data['Vehicle.Speed']", at: "$.time", of: "$.subject" },
    },
  },
  project: { project: { keep: ["subject", "time", "data['Vehicle.Speed']"] } },
  jsonata: {
    jsonata:
      "$merge([$, {'type': 'speed', 'data': {'kmh': data.`Vehicle.Speed`, 'at': time, 'of': subject}}])",
  },
  function: {
    function:
      "(event) => ({ ...event, type: 'speed', data: { kmh: event.data['Vehicle.Speed'], at: event.time, of: event.subject } })",
  },
};

function telemetry(): MeshEvent[] {
  const drive = new Drive({ chance: seededChance(5), pseudonym: "5f1c9b3a7d20", ids: "uuid" });
  const events: MeshEvent[] = [];
  for (let second = 0; events.length < eventCount; second += 1)
    for (const { topic, event } of drive.advance(1, startMs + second * 1_000))
      if (topic === "vehicle.telemetry") events.push(event);
  return events.slice(0, eventCount);
}

/** CPU microseconds an event of the rule alone, in this process. */
async function alone(spec: TransformSpec, events: readonly MeshEvent[]): Promise<number> {
  const rule = await compileTransform(stepsOf(spec), transformLimitsDefault);
  const used = await cpuMicros(async () => {
    for (const event of events) await rule.apply({ event, nowMs: startMs });
  });
  rule.dispose();
  return used / events.length;
}

interface Shared {
  readonly cpuMicros: number;
  readonly perSecond: number;
}

/** As a subscription has it: in a process of its own; what it costs in this one, and how many go through. */
async function shared(
  transforms: Transforms,
  spec: TransformSpec,
  events: readonly MeshEvent[],
): Promise<Shared> {
  const rule = transforms.open({ id: "bench", transform: spec });
  let next = 0;
  const lane = async (): Promise<void> => {
    for (let event = events[next++]; event; event = events[next++])
      await rule?.apply({ event, nowMs: startMs });
  };
  const run = (): Promise<unknown> => Promise.all(Array.from({ length: windowMax }, lane));
  const startedMs = performance.now();
  const used = await cpuMicros(async () => {
    await run();
  });
  const perSecond = (events.length / (performance.now() - startedMs)) * 1_000;
  return { cpuMicros: used / events.length, perSecond };
}

/** What a transform of three fields costs, by each kind of rule; printed only. */
export const transformBench: Bench = {
  name: "transform.jsonata",
  async run(): Promise<Figure[]> {
    const events = telemetry();
    const transforms = new Transforms({ clock: systemClock, registry: new Registry() });
    const figures: Figure[] = [];
    try {
      for (const [name, spec] of Object.entries(rules)) {
        const [ruleCpu, ownCpu, rates]: number[][] = [[], [], []];
        // The first run warms up.
        for (let run = 0; run <= runCount; run += 1) {
          const micros = await alone(spec, events);
          const through = await shared(transforms, spec, events);
          if (run === 0) continue;
          ruleCpu?.push(micros);
          ownCpu?.push(through.cpuMicros);
          rates?.push(through.perSecond);
        }
        figures.push(
          figureOf(
            { figure: `${name}: CPU of the rule alone, an event`, unit: "µs" },
            ruleCpu ?? [],
          ),
          figureOf({ figure: `${name}: CPU of the runtime, an event`, unit: "µs" }, ownCpu ?? []),
          figureOf(
            {
              figure: `${name}: events through one subscription, ${availableParallelism()} cores`,
              unit: "/s",
            },
            rates ?? [],
          ),
        );
      }
    } finally {
      await transforms.stop();
    }
    return figures;
  },
};
