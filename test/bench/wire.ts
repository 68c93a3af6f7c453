import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import {
  agentMadeId,
  decodeWire,
  encodeWire,
  seededChance,
  type BlockEntry,
  type Effort,
  type MeshEvent,
  type WireBatch,
} from "@fleetmesh/core";
import { Drive, replayDrive } from "@fleetmesh/simulator";
import { cpuMicros, figureOf, type Bench, type Figure } from "./bench.ts";

const batchSize = 100;
const eventCount = 6000;
const runCount = 3;
const agentId = "vehicle-5f1c9b3a7d20";
const pseudonym = "5f1c9b3a7d20";
const epoch = "0123456789abcdef";
const startMs = Date.UTC(2026, 0, 1);
const limits = { decodedBytesMax: 8_000_000, eventCountMax: 10_000 };
const recordedDrives = new URL("../../../../shared/data/obd-drives/", import.meta.url);

/** Bytes of an MQTT 3.1.1 PUBLISH packet with QoS 1: head, remaining length, topic, packet id, payload. */
function publishBytes(topic: string, payloadBytes: number): number {
  const remaining = 2 + topic.length + 2 + payloadBytes;
  let head = 2;
  for (let rest = remaining >> 7; rest > 0; rest >>= 7) head += 1;
  return head + remaining;
}

/** The event as structured JSON, the plain way over MQTT. */
function structuredBytes({ data, ...event }: MeshEvent): number {
  const { id, source, type, subject, time, datacontenttype } = event;
  const envelope = { specversion: "1.0", id, source, type, subject, time, datacontenttype };
  return Buffer.byteLength(JSON.stringify(envelope)) + ',"data":'.length + (data?.length ?? 0);
}

function telemetry(ids: "agent" | "uuid", seed: number): MeshEvent[] {
  const chance = seededChance(seed);
  const drive = new Drive({ chance, pseudonym, ids });
  const events: MeshEvent[] = [];
  for (let second = 0; events.length < eventCount; second += 1)
    for (const { topic, event } of drive.advance(1, startMs + second * 1000 + jitterMs(chance)))
      if (topic === "vehicle.telemetry") events.push(event);
  return events;
}

/** A timer on a busy gateway is never on time. */
function jitterMs(chance: { float(): number }): number {
  return Math.floor(4 * chance.float() * chance.float());
}

async function recorded(): Promise<MeshEvent[]> {
  const events: MeshEvent[] = [];
  for (const name of ["drive1.csv", "drive2.csv", "drive5.csv"]) {
    const path = fileURLToPath(new URL(name, recordedDrives));
    for await (const { event } of replayDrive(path, { pseudonym, startMs })) events.push(event);
  }
  return events;
}

function batchesOf(events: readonly MeshEvent[]): WireBatch[] {
  const chance = seededChance(3);
  const batches: WireBatch[] = [];
  for (let start = 0; start + batchSize <= events.length; start += batchSize) {
    const first = start + 1;
    const entries = events.slice(start, start + batchSize).map((event, index): BlockEntry => {
      const sequence = first + index;
      const id = event.id === "" ? agentMadeId(epoch, "normal", sequence) : event.id;
      const receivedMs = Date.parse(event.time ?? "") + jitterMs(chance);
      return { topic: "vehicle.telemetry", sequence, receivedMs, event: { ...event, id } };
    });
    const last = start + batchSize;
    const segments = [{ kind: "events", first, entries } as const];
    batches.push({ kind: "batch", agentId, epoch, eventClass: "normal", first, last, segments });
  }
  return batches;
}

interface Sizes {
  /** Bytes an event takes on the uplink, MQTT framing included. */
  readonly wire: number;
  readonly json: number;
}

function sizesOf(batches: readonly WireBatch[]): Sizes {
  let wire = 0;
  let json = 0;
  let count = 0;
  for (const batch of batches) {
    wire += publishBytes(`batches/${agentId}`, encodeWire(batch).length);
    for (const segment of batch.segments)
      if (segment.kind === "events")
        for (const { topic, event } of segment.entries) {
          json += publishBytes(`events/${topic}`, structuredBytes(event));
          count += 1;
        }
  }
  return { wire: wire / count, json: json / count };
}

/** CPU microseconds an event, after a warm-up of the same work. */
async function microsEach(batches: readonly WireBatch[], work: () => void): Promise<number> {
  work();
  return (await cpuMicros(work)) / (batches.length * batchSize);
}

async function repeat(measure: (run: number) => Promise<number> | number): Promise<number[]> {
  const runs: number[] = [];
  for (let run = 0; run < runCount; run += 1) runs.push(await measure(run));
  return runs;
}

async function sizeFigures(): Promise<Figure[]> {
  const made = [1, 2, 3].map((seed) => sizesOf(batchesOf(telemetry("agent", seed))));
  const random = [1, 2, 3].map((seed) => sizesOf(batchesOf(telemetry("uuid", seed))));
  const percent = ({ wire, json }: Sizes): number => (100 * wire) / json;
  const figures = [
    figureOf(
      { figure: "plain JSON over MQTT, an event", unit: "B", atLeast: 500 },
      made.map(({ json }) => json),
    ),
    figureOf(
      { figure: "uplink, agent-made ids", unit: "B", atMost: 22 },
      made.map(({ wire }) => wire),
    ),
    figureOf(
      { figure: "uplink, random UUID ids", unit: "B", atMost: 38 },
      random.map(({ wire }) => wire),
    ),
    figureOf({ figure: "uplink against plain JSON", unit: "%", atMost: 5 }, made.map(percent)),
  ];
  if (existsSync(recordedDrives)) {
    const drives = sizesOf(batchesOf(await recorded()));
    const reach = { figure: "recorded drives against JSON", unit: "%", atMost: 12 };
    figures.push(figureOf(reach, [percent(drives)]));
  }
  return figures;
}

async function cpuFigures(): Promise<Figure[]> {
  const batches = batchesOf(telemetry("uuid", 1));
  const encoded = batches.map((batch) => encodeWire(batch));
  const encoding = (effort: Effort) => (): void => {
    for (const batch of batches) encodeWire(batch, { effort });
  };
  const decoding = (): void => {
    for (const bytes of encoded) decodeWire(bytes, limits);
  };
  return [
    figureOf(
      { figure: "CPU to encode an event", unit: "µs", atMost: 15 },
      await repeat(() => microsEach(batches, encoding("small"))),
    ),
    figureOf(
      { figure: "CPU to encode an event, effort fast", unit: "µs", atMost: 15 },
      await repeat(() => microsEach(batches, encoding("fast"))),
    ),
    figureOf(
      { figure: "CPU to decode an event", unit: "µs", atMost: 15 },
      await repeat(() => microsEach(batches, decoding)),
    ),
  ];
}

/** What an event costs on the vehicle's uplink: batches of 100 of the simulator's telemetry, one event a second. */
export const wireBench: Bench = {
  name: "wire",
  async run() {
    return [...(await sizeFigures()), ...(await cpuFigures())];
  },
};
