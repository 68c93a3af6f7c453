import { figureOf, median, type Bench, type Figure } from "./bench.ts";
import { fill, MqttLoad } from "./edge-load.ts";
import { EdgeProcess, freePort } from "./edge-process.ts";
import { LightRegion } from "./light-region.ts";
import { telemetryEvents } from "./telemetry-events.ts";

const backlogCount = 200_000;
const alarmEveryMs = 10;

interface DrainRun {
  readonly perSecond: number;
  readonly microsEach: number;
  readonly wireBytesEach: number;
  /** From the door to the region, for each critical event published while the backlog left. */
  readonly alarmMillis: readonly number[];
}

/**
 * A backlog after an outage, and what a critical event waits meanwhile. The region is a light sink in this process that
 * believes what it receives (light-region.ts); a critical event is published every 10 ms through the MQTT door, and is
 * there when its batch is.
 */
export const edgeDrainBench: Bench = {
  name: "edge.drain",
  async run() {
    const port = await freePort();
    const edge = await EdgeProcess.start(port);
    const region = new LightRegion(port);
    try {
      const events = telemetryEvents(2_000);
      const runs: DrainRun[] = [];
      for (let run = 0; run < 3; run += 1) {
        await fill(edge, events, backlogCount);
        runs.push(await drain(edge, region, events));
      }
      return figuresOf(runs);
    } finally {
      await region.close();
      await edge.stop();
    }
  },
};

async function drain(
  edge: EdgeProcess,
  region: LightRegion,
  events: readonly Buffer[],
): Promise<DrainRun> {
  const alarms = await MqttLoad.connect(edge, { events, topic: "vehicle.alarm", inFlight: 64 });
  const target = region.received("normal") + backlogCount;
  const sentMs: number[] = [];
  const alarmMillis: number[] = [];
  const alarmBase = region.received("critical");
  const cpuBefore = edge.cpuMicros();
  const bytesBefore = region.byteCount;
  let startedMs = 0;
  const drained = new Promise<number>((resolve) => {
    region.onBatch(({ eventClass, first, last }) => {
      const nowMs = performance.now();
      if (startedMs === 0) startedMs = nowMs;
      if (eventClass === "critical")
        for (let at = first; at <= last; at += 1)
          alarmMillis.push(nowMs - (sentMs[at - alarmBase - 1] ?? nowMs));
      else if (last >= target) resolve(nowMs);
    });
  });
  const ticking = setInterval(() => {
    if (startedMs === 0) return;
    sentMs.push(performance.now());
    alarms.send();
  }, alarmEveryMs);
  await region.open();
  const endedMs = await drained;
  const cpu = edge.cpuMicros() - cpuBefore;
  const bytes = region.byteCount - bytesBefore;
  clearInterval(ticking);
  while (region.received("critical") - alarmBase < sentMs.length) await sleep(10);
  await region.close();
  alarms.close();
  return {
    perSecond: (1000 * backlogCount) / (endedMs - startedMs),
    microsEach: cpu / (backlogCount + alarmMillis.length),
    wireBytesEach: bytes / (backlogCount + alarmMillis.length),
    alarmMillis,
  };
}

function figuresOf(runs: readonly DrainRun[]): Figure[] {
  return [
    figureOf(
      { figure: "backlog of 200,000 events drained", unit: "ev/s", atLeast: 40_000 },
      runs.map(({ perSecond }) => perSecond),
    ),
    figureOf(
      { figure: "CPU of the agent an event", unit: "µs", atMost: 15 },
      runs.map(({ microsEach }) => microsEach),
    ),
    figureOf(
      { figure: "uplink an event, backlog", unit: "B" },
      runs.map(({ wireBytesEach }) => wireBytesEach),
    ),
    figureOf(
      { figure: "critical event meanwhile, p50", unit: "ms" },
      runs.map(({ alarmMillis }) => median(alarmMillis)),
    ),
    figureOf(
      { figure: "critical event meanwhile, p99", unit: "ms", atMost: 250 },
      runs.map(({ alarmMillis }) => percentile(alarmMillis, 0.99)),
    ),
  ];
}

function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((one, other) => one - other);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? NaN;
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
