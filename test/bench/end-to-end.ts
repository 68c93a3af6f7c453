import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { figureOf, type Bench, type Figure } from "./bench.ts";
import { EdgeProcess } from "./edge-process.ts";
import {
  connectPacket,
  packetIdAt,
  packetKind,
  PacketStream,
  publishPacket,
} from "./mqtt-packets.ts";
import { RegionProcess } from "./region-process.ts";
import { SinkProcess } from "./sink-process.ts";
import { telemetryEvents } from "./telemetry-events.ts";

const topic = "vehicle.telemetry";
const perSecond = 1_000;
const runSeconds = 8;
const warmUpSeconds = 4;
const runCount = 3;
const subjectCount = 50;

/**
 * Open loop: the time of each publish is fixed before the run, whatever becomes of the ones before; what the generator is
 * late counts as latency of the mesh.
 */
class OpenLoad {
  readonly #socket: Socket;
  #packets: readonly Buffer[] = [];
  #runCount = 0;

  private constructor(socket: Socket) {
    this.#socket = socket;
  }

  static async connect(edge: EdgeProcess): Promise<OpenLoad> {
    const socket = connect({ port: edge.mqttPort, host: "127.0.0.1", noDelay: true });
    await once(socket, "connect");
    const stream = new PacketStream();
    const connected = new Promise<void>((resolve) => {
      socket.on("data", (chunk: Buffer) => {
        stream.push(chunk, (head) => {
          if (head >> 4 === packetKind.connack) resolve();
        });
      });
    });
    socket.write(connectPacket("bench-e2e", "bench", edge.token));
    await connected;
    return new OpenLoad(socket);
  }

  /** Publishes event after event at its time. Returns when each was to be sent, microseconds of the monotonic clock. */
  async run(count: number): Promise<number[]> {
    this.#runCount += 1;
    this.#packets = packetsOf(this.#runCount, count);
    const startMicros = nowMicros() + 100_000;
    const dueMicros = Array.from(
      { length: count },
      (_, at) => startMicros + (at * 1e6) / perSecond,
    );
    for (let at = 0; at < count;) {
      await new Promise((resolve) => setTimeout(resolve, 1));
      const now = nowMicros();
      for (; at < count && (dueMicros[at] ?? 0) <= now; at += 1) this.#publish(at);
    }
    return dueMicros;
  }

  close(): void {
    this.#socket.destroy();
  }

  #publish(at: number): void {
    const packet = this.#packets[at] as Buffer;
    packet.writeUInt16BE((at % 65_535) + 1, packetIdAt(packet));
    this.#socket.write(packet);
  }
}

/** No id comes twice: a resend would be recognised. */
function packetsOf(run: number, count: number): Buffer[] {
  return telemetryEvents(count).map((event, at) => {
    const text = event
      .toString()
      .replace(/"id":"\d+"/, `"id":"e2e-${run}-${at}"`)
      .replace(/"subject":"[^"]*"/, `"subject":"${at % subjectCount}"`);
    return publishPacket(`events/${topic}`, Buffer.from(text));
  });
}

function nowMicros(): number {
  return Number(process.hrtime.bigint() / 1000n);
}

/** Milliseconds from when each event was to be sent until it was at the sink, in order of size. */
async function latencies(load: OpenLoad, sink: SinkProcess, seconds: number): Promise<number[]> {
  const count = seconds * perSecond;
  const { reached } = await sink.expect(count, true);
  const dueMicros = await load.run(count);
  await reached;
  const arrivals = await sink.arrivals();
  const taken = dueMicros.map((due, at) => ((arrivals.get(at) ?? Infinity) - due) / 1000);
  return taken.sort((one, other) => one - other);
}

function percentile(sorted: readonly number[], percent: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor((sorted.length * percent) / 100))] ?? NaN;
}

/** From the edge's door over both disks to the subscriber, each in a process of its own. */
export const endToEndBench: Bench = {
  name: "e2e",
  async run(): Promise<Figure[]> {
    const [region, sink] = await Promise.all([RegionProcess.start(), SinkProcess.start()]);
    await region.subscribe({ id: "e2e", topic, sink: sink.url, start: "earliest", windowMax: 32 });
    const edge = await EdgeProcess.start(region.mqttPort, region.token);
    const runs: number[][] = [];
    try {
      const load = await OpenLoad.connect(edge);
      await latencies(load, sink, warmUpSeconds);
      for (let run = 0; run < runCount; run += 1)
        runs.push(await latencies(load, sink, runSeconds));
      load.close();
    } finally {
      await edge.stop();
      await Promise.all([region.stop(), sink.stop()]);
    }
    const at = (percent: number): number[] => runs.map((run) => percentile(run, percent));
    return [
      figureOf({ figure: "p50", unit: "ms", atMost: 15 }, at(50)),
      figureOf({ figure: "p99", unit: "ms", atMost: 60 }, at(99)),
    ];
  },
};
