import { Matcher, SubscriptionFilter, type FilterSource } from "@fleetmesh/cloud-runtime";
import { decodeStructured, type MeshEvent } from "@fleetmesh/core";
import { cpuMicros, figureOf, type Bench, type Figure } from "./bench.ts";
import { telemetryEvents } from "./telemetry-events.ts";

const eventCount = 2_000;
const roundCount = 5;
const runCount = 5;
const limits = { maxEventBytes: 262_144 };
const type = "com.example.vehicle.snapshot";

type FilterSpec = FilterSource["filters"][number];

const vinOf = (vehicle: number): string => `LVS${String(vehicle).padStart(8, "0")}`;

/** What ten systems may want of one vehicle's snapshots: by its subject, by what it begins with, by what is in the data. */
function specsFor(vin: string): FilterSpec[] {
  return [
    { exact: { subject: vin } },
    { exact: { subject: vin, type } },
    { all: [{ exact: { subject: vin } }, { prefix: { type: "com.example." } }] },
    { any: [{ exact: { subject: vin } }, { exact: { subject: `${vin}/door` } }] },
    { prefix: { subject: vin } },
    { prefix: { subject: vin, type: "com.example.vehicle." } },
    { pattern: { subject: [{ prefix: vin }], data: { speed: [{ numeric: [">=", 0] }] } } },
    { pattern: { type: [type], data: { vin: [vin] } } },
    { pattern: { data: { vin: [vin, "none"], speed: [{ exists: true }] } } },
    { pattern: { data: { vehicle: { vin: [vin] } } } },
  ];
}

/** The same, without a look into the data. */
function attributeSpecsFor(vin: string): FilterSpec[] {
  return specsFor(vin).map((spec) =>
    "pattern" in spec ? { pattern: { subject: [{ wildcard: `${vin}*` }], type: [type] } } : spec,
  );
}

/** Snapshots of about 1 KiB of data, of as many vehicles as there are. */
function snapshots(vehicleCount: number): MeshEvent[] {
  return telemetryEvents(eventCount).map((bytes, index) => {
    const event = decodeStructured(bytes, limits);
    const vin = vinOf((index * 7) % vehicleCount);
    const head = `{"vin":"${vin}","vehicle":{"vin":"${vin}"},"speed":62.5,`;
    const rest = Buffer.from(event.data ?? []).subarray(1);
    return { ...event, subject: vin, data: Buffer.concat([Buffer.from(head), rest]) };
  });
}

async function microsEach(
  subscriptionCount: number,
  specsOf: (vin: string) => FilterSpec[],
): Promise<number[]> {
  const vehicleCount = subscriptionCount / 10;
  const matcher = new Matcher<{ readonly filter: SubscriptionFilter }>();
  for (let vehicle = 0; vehicle < vehicleCount; vehicle += 1)
    for (const spec of specsOf(vinOf(vehicle)))
      matcher.add({ filter: new SubscriptionFilter({ filters: [spec] }) });
  const events = snapshots(vehicleCount);
  const matchAll = (): void => {
    const found: { readonly filter: SubscriptionFilter }[] = [];
    for (const event of events) {
      found.length = 0;
      matcher.match(event, found);
      if (found.length !== 10) throw new Error(`${found.length} subscriptions match, not 10`);
    }
  };
  matchAll();
  const runs: number[] = [];
  for (let run = 0; run < runCount; run += 1) {
    const micros = await cpuMicros(() => {
      for (let round = 0; round < roundCount; round += 1) matchAll();
    });
    runs.push(micros / (roundCount * eventCount));
  }
  return runs;
}

/** What it costs to find the subscriptions that an event matches: ten of a hundred, and ten of ten thousand. */
export const rulesMatchBench: Bench = {
  name: "rules.match",
  async run(): Promise<Figure[]> {
    const unit = "µs";
    return [
      figureOf(
        { figure: "10 of 10,000 subscriptions, CPU an event", unit, atMost: 60 },
        await microsEach(10_000, specsFor),
      ),
      figureOf({ figure: "10 of 100, CPU an event", unit }, await microsEach(100, specsFor)),
      figureOf(
        { figure: "10 of 10,000 by attributes alone, CPU an event", unit },
        await microsEach(10_000, attributeSpecsFor),
      ),
    ];
  },
};
