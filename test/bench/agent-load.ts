import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { crc32 } from "node:zlib";
import {
  decodeMqtt,
  encodeWire,
  eventLimitsDefault,
  type BlockEntry,
  type MeshEvent,
} from "@fleetmesh/core";
import {
  connectPacket,
  packetIdAt,
  packetKind,
  PacketStream,
  publishPacket,
  pubackPacket,
  subscribePacket,
} from "./mqtt-packets.ts";
import { telemetryEvents } from "./telemetry-events.ts";

export const batchSize = 100;
/** As many batches as an agent of ours has on its way at most. */
const inFlightMax = 32;
const epochDigits = 16;

export interface AgentPlan {
  readonly agentId: string;
  readonly topic: string;
  readonly batchCount: number;
  readonly seed: number;
  /** The events are those of so many things behind the agent: order holds within each. */
  readonly subjectCount: number;
}

/**
 * The messages of an agent with a backlog, encoded beforehand. Each pass is another epoch, and so the same sequences again
 * without being a resend: only the eight bytes of the epoch and the checksum differ.
 */
export class AgentBacklog {
  readonly plan: AgentPlan;
  readonly #messages: readonly Uint8Array[];

  constructor(plan: AgentPlan) {
    this.plan = plan;
    const events = eventsOf(plan);
    this.#messages = Array.from({ length: plan.batchCount }, (_, index) =>
      messageOf(plan, { events, index }),
    );
  }

  get eventCount(): number {
    return this.plan.batchCount * batchSize;
  }

  get byteCount(): number {
    return this.#messages.reduce((sum, { length }) => sum + length, 0);
  }

  /** MQTT packets; the packet ids are to be set. */
  packets(pass: number): Buffer[] {
    const epoch = Buffer.from(pass.toString(16).padStart(epochDigits, "0"), "hex");
    return this.#messages.map((message) => {
      const bytes = Buffer.from(message);
      epoch.copy(bytes, epochAt(bytes));
      const end = bytes.length - 4;
      bytes.writeUInt32LE(crc32(bytes.subarray(0, end)), end);
      return publishPacket(`batches/${this.plan.agentId}`, bytes);
    });
  }
}

/** Behind the head and the length of the agent id (docs/wire.md). */
function epochAt(message: Buffer): number {
  let at = 2;
  while ((message[at] ?? 0) >= 0x80) at += 1;
  return at + 2;
}

function eventsOf({ seed, subjectCount }: AgentPlan): MeshEvent[] {
  return telemetryEvents(10 * batchSize, seed).map((bytes, index) => {
    const event = decodeMqtt(bytes, eventLimitsDefault);
    const subject = `${seed}-${index % subjectCount}`;
    return { ...event, subject, source: `urn:vehicle:${subject}` };
  });
}

function messageOf(
  { agentId, topic }: AgentPlan,
  { events, index }: { readonly events: readonly MeshEvent[]; readonly index: number },
): Uint8Array {
  const first = index * batchSize + 1;
  const entries = Array.from({ length: batchSize }, (_, row): BlockEntry => {
    const sequence = first + row;
    const event = events[sequence % events.length] as MeshEvent;
    const receivedMs = Date.parse(event.time ?? "") + 1;
    return { topic, sequence, receivedMs, event: { ...event, id: `${agentId}-${sequence}` } };
  });
  const last = first + batchSize - 1;
  const segments = [{ kind: "events", first, entries } as const];
  const epoch = "0".repeat(epochDigits);
  return encodeWire(
    { kind: "batch", agentId, epoch, eventClass: "normal", first, last, segments },
    { effort: "fast" },
  );
}

/** One agent's connection: sends what it is given, so many in flight, and takes the acknowledgements as an agent must. */
export class AgentLoad {
  readonly #socket: Socket;
  readonly #backlog: AgentBacklog;
  #packets: readonly Buffer[] = [];
  #sentCount = 0;
  #ackedCount = 0;
  #done: (() => void) | undefined;

  private constructor(socket: Socket, backlog: AgentBacklog) {
    this.#socket = socket;
    this.#backlog = backlog;
  }

  static async connect(
    region: { readonly mqttPort: number; readonly token: string },
    backlog: AgentBacklog,
  ): Promise<AgentLoad> {
    const { agentId } = backlog.plan;
    const socket = connect({ port: region.mqttPort, host: "127.0.0.1", noDelay: true });
    await once(socket, "connect");
    const load = new AgentLoad(socket, backlog);
    const stream = new PacketStream();
    const subscribed = new Promise<void>((resolve) => {
      socket.on("data", (chunk: Buffer) => {
        socket.cork();
        stream.push(chunk, (head, body) => {
          if (head >> 4 === packetKind.connack)
            socket.write(subscribePacket(1, `acks/${agentId}`, 1));
          if (head >> 4 === packetKind.suback) resolve();
          if (head >> 4 === packetKind.puback) load.#acked();
          if (head >> 4 === packetKind.publish) load.#answer(head, body);
        });
        load.#refill();
        socket.uncork();
      });
    });
    socket.write(connectPacket(agentId, "bench", region.token));
    await subscribed;
    return load;
  }

  /** Sends the backlog once; resolves when the region has made all of it durable. */
  async run(pass: number): Promise<void> {
    this.#packets = this.#backlog.packets(pass);
    [this.#sentCount, this.#ackedCount] = [0, 0];
    const done = new Promise<void>((resolve) => (this.#done = resolve));
    this.#refill();
    await done;
  }

  close(): void {
    this.#socket.destroy();
  }

  #acked(): void {
    this.#ackedCount += 1;
    if (this.#ackedCount === this.#packets.length) this.#done?.();
  }

  #answer(head: number, body: Buffer): void {
    if ((head & 0x06) === 0) return;
    this.#socket.write(pubackPacket(body.readUInt16BE(2 + body.readUInt16BE(0))));
  }

  #refill(): void {
    while (this.#sentCount - this.#ackedCount < inFlightMax) {
      const packet = this.#packets[this.#sentCount];
      if (packet === undefined) return;
      packet.writeUInt16BE((this.#sentCount % 65_535) + 1, packetIdAt(packet));
      this.#sentCount += 1;
      this.#socket.write(packet);
    }
  }
}
