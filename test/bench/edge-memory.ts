import { figureOf, type Bench, type Figure } from "./bench.ts";
import { fill, MqttLoad } from "./edge-load.ts";
import { EdgeProcess, freePort } from "./edge-process.ts";
import { LightRegion } from "./light-region.ts";
import { telemetryEvents } from "./telemetry-events.ts";

const backlogCount = 1_000_000;
const restMs = 5_000;
const sampleEveryMs = 20;

interface MemoryRun {
  readonly idle: number;
  readonly filled: number;
  readonly afterRestart: number;
  readonly restartMs: number;
  readonly drainPeak: number;
}

/**
 * Resident memory of one agent through an outage: at rest after its start, at rest with 1,000,000 events in the buffer
 * (taken in at full speed just before), and the highest while they drain, sampled every 20 ms. In between it is killed, and
 * the time is taken from the new start to the first event acknowledged at its MQTT door, with the whole backlog there.
 */
export const edgeMemoryBench: Bench = {
  name: "edge.memory",
  async run() {
    const runs: MemoryRun[] = [];
    for (let run = 0; run < 3; run += 1) runs.push(await oneRun());
    return figuresOf(runs);
  },
};

async function oneRun(): Promise<MemoryRun> {
  const port = await freePort();
  const edge = await EdgeProcess.start(port);
  const region = new LightRegion(port);
  try {
    await sleep(restMs);
    const idle = edge.residentMegabytes();
    const events = telemetryEvents(2_000);
    await fill(edge, events, backlogCount);
    await sleep(restMs);
    const filled = edge.residentMegabytes();
    const restartMs = await firstAckAfterRestart(edge, events);
    await sleep(restMs);
    const afterRestart = edge.residentMegabytes();
    return {
      idle,
      filled,
      restartMs,
      afterRestart,
      drainPeak: await peakWhileDraining(edge, region),
    };
  } finally {
    await region.close();
    await edge.stop();
  }
}

async function firstAckAfterRestart(edge: EdgeProcess, events: readonly Buffer[]): Promise<number> {
  await edge.kill();
  const startedMs = performance.now();
  const isReady = edge.startAgain();
  const connect = async (): Promise<MqttLoad> => {
    for (;;) {
      try {
        return await MqttLoad.connect(edge, { events, topic: "vehicle.telemetry", inFlight: 1 });
      } catch {
        await sleep(2);
      }
    }
  };
  const load = await connect();
  await load.acknowledgeOne();
  const endedMs = performance.now();
  load.close();
  await isReady;
  return endedMs - startedMs;
}

async function peakWhileDraining(edge: EdgeProcess, region: LightRegion): Promise<number> {
  let peak = 0;
  const sampling = setInterval(() => {
    peak = Math.max(peak, edge.residentMegabytes());
  }, sampleEveryMs);
  const drained = new Promise<void>((resolve) => {
    region.onBatch(({ last }) => {
      if (last > backlogCount) resolve();
    });
  });
  await region.open();
  await drained;
  clearInterval(sampling);
  return peak;
}

function figuresOf(runs: readonly MemoryRun[]): Figure[] {
  const of = (value: (run: MemoryRun) => number): number[] => runs.map(value);
  return [
    figureOf(
      { figure: "resident, idle", unit: "MB", atMost: 85 },
      of(({ idle }) => idle),
    ),
    figureOf(
      { figure: "more with 1,000,000 events", unit: "MB", atMost: 24 },
      of(({ idle, filled }) => filled - idle),
    ),
    figureOf(
      { figure: "more with 1,000,000 events, after a restart", unit: "MB", atMost: 24 },
      of(({ idle, afterRestart }) => afterRestart - idle),
    ),
    figureOf(
      { figure: "more at the peak while draining", unit: "MB", atMost: 48 },
      of(({ idle, drainPeak }) => drainPeak - idle),
    ),
    figureOf(
      { figure: "restart to first durable ack with 1,000,000 events", unit: "ms", atMost: 600 },
      of(({ restartMs }) => restartMs),
    ),
  ];
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
