import { once } from "node:events";
import { connect, type Socket } from "node:net";
import {
  connectPacket,
  packetIdAt,
  packetKind,
  PacketStream,
  publishPacket,
} from "./mqtt-packets.ts";
import type { SinkProcess } from "./sink-process.ts";
import { telemetryEvents } from "./telemetry-events.ts";

const perSecond = 1_000;
const subjectCount = 50;

/** An MQTT door of the mesh, and who may publish there. */
export interface OpenLoadDoor {
  readonly mqttPort: number;
  readonly token: string;
}

/**
 * Open loop: the time of each publish is fixed before the run, whatever becomes of the ones before; what the generator is
 * late counts as latency of the mesh.
 */
export class OpenLoad {
  readonly #socket: Socket;
  readonly #topic: string;
  #packets: readonly Buffer[] = [];
  #runCount = 0;

  private constructor(socket: Socket, topic: string) {
    this.#socket = socket;
    this.#topic = topic;
  }

  static async connect({ mqttPort, token }: OpenLoadDoor, topic: string): Promise<OpenLoad> {
    const socket = connect({ port: mqttPort, host: "127.0.0.1", noDelay: true });
    await once(socket, "connect");
    const stream = new PacketStream();
    const connected = new Promise<void>((resolve) => {
      socket.on("data", (chunk: Buffer) => {
        stream.push(chunk, (head) => {
          if (head >> 4 === packetKind.connack) resolve();
        });
      });
    });
    socket.write(connectPacket("bench-e2e", "bench", token));
    await connected;
    return new OpenLoad(socket, topic);
  }

  /** Publishes event after event at its time. Returns when each was to be sent, microseconds of the monotonic clock. */
  async run(count: number): Promise<number[]> {
    this.#runCount += 1;
    this.#packets = packetsOf(this.#topic, this.#runCount, count);
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
function packetsOf(topic: string, run: number, count: number): Buffer[] {
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

/** At 1,000 events a second. Milliseconds from when each event was to be sent until it was at the sink, in order of size. */
export async function latencies(
  load: OpenLoad,
  sink: SinkProcess,
  seconds: number,
): Promise<number[]> {
  const count = seconds * perSecond;
  const { reached } = await sink.expect(count, true);
  const dueMicros = await load.run(count);
  await reached;
  const arrivals = await sink.arrivals();
  const taken = dueMicros.map((due, at) => ((arrivals.get(at) ?? Infinity) - due) / 1000);
  return taken.sort((one, other) => one - other);
}

export function percentile(sorted: readonly number[], percent: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor((sorted.length * percent) / 100))] ?? NaN;
}
