import { once } from "node:events";
import { connect, type Socket } from "node:net";
import {
  connectPacket,
  packetIdAt,
  packetKind,
  PacketStream,
  publishPacket,
} from "./mqtt-packets.ts";
import type { EdgeProcess } from "./edge-process.ts";

const idMark = '"id":"';
let idCount = 0;

/** Where the ids are in what is sent again and again: each time they are others, or the door would know the events. */
function idsAt(bytes: Buffer): number[] {
  const places: number[] = [];
  for (let at = bytes.indexOf(idMark); at >= 0; at = bytes.indexOf(idMark, at + 1))
    places.push(at + idMark.length);
  return places;
}

function setIds(bytes: Buffer, places: readonly number[]): void {
  for (const at of places) bytes.write(String((idCount += 1)).padStart(16, "0"), at, "latin1");
}

/** Publishes prepared packets over one connection, so many in flight, and counts the acknowledgements. */
export class MqttLoad {
  ackedCount = 0;
  readonly #socket: Socket;
  readonly #packets: readonly Buffer[];
  readonly #idsAt: readonly (readonly number[])[];
  readonly #inFlightMax: number;
  #sentCount = 0;
  #isOpen = false;
  #done: (() => void) | undefined;

  private constructor(socket: Socket, packets: readonly Buffer[], inFlightMax: number) {
    this.#socket = socket;
    this.#packets = packets;
    this.#idsAt = packets.map(idsAt);
    this.#inFlightMax = inFlightMax;
  }

  static async connect(
    { mqttPort, token }: EdgeProcess,
    { events, topic, inFlight }: { events: readonly Buffer[]; topic: string; inFlight: number },
  ): Promise<MqttLoad> {
    if (events.length < inFlight) throw new RangeError("a packet in flight must not be reused");
    const socket = connect({ port: mqttPort, host: "127.0.0.1", noDelay: true });
    await once(socket, "connect");
    const packets = events.map((event) => publishPacket(`events/${topic}`, event));
    const load = new MqttLoad(socket, packets, inFlight);
    const stream = new PacketStream();
    const connected = new Promise<void>((resolve) => {
      socket.on("data", (chunk: Buffer) => {
        stream.push(chunk, (head) => {
          if (head >> 4 === packetKind.connack) resolve();
          if (head >> 4 === packetKind.puback) load.ackedCount += 1;
        });
        load.#refill();
      });
    });
    socket.write(connectPacket(`bench-${socket.localPort ?? 0}`, "bench", token));
    await connected;
    return load;
  }

  /** Publishes for the time and waits for what is still in flight. Returns how many were acknowledged. */
  async run(durationMs: number): Promise<number> {
    const before = this.ackedCount;
    this.#isOpen = true;
    this.#refill();
    await new Promise((resolve) => setTimeout(resolve, durationMs));
    this.#isOpen = false;
    if (this.#sentCount > this.ackedCount) await new Promise<void>((done) => (this.#done = done));
    return this.ackedCount - before;
  }

  /** One publish, now, whatever is in flight. */
  send(): void {
    this.#socket.write(this.#next());
  }

  /** One publish; resolves when it, and all before it, is acknowledged. */
  async acknowledgeOne(): Promise<void> {
    const done = new Promise<void>((resolve) => (this.#done = resolve));
    this.send();
    await done;
  }

  close(): void {
    this.#socket.destroy();
  }

  #refill(): void {
    if (this.#sentCount === this.ackedCount) this.#done?.();
    if (!this.#isOpen) return;
    const room = this.#inFlightMax - (this.#sentCount - this.ackedCount);
    // In halves, so that the load's own system calls cost little.
    if (room < this.#inFlightMax / 4) return;
    this.#socket.cork();
    for (let left = room; left > 0; left -= 1) this.#socket.write(this.#next());
    this.#socket.uncork();
  }

  #next(): Buffer {
    const index = this.#sentCount % this.#packets.length;
    const packet = this.#packets[index] as Buffer;
    setIds(packet, this.#idsAt[index] ?? []);
    packet.writeUInt16BE((this.#sentCount % 65_535) + 1, packetIdAt(packet));
    this.#sentCount += 1;
    return packet;
  }
}

/** Posts prepared batches over one kept connection, one at a time. */
export class HttpBatchLoad {
  readonly #socket: Socket;
  readonly #requests: readonly Buffer[];
  readonly #idsAt: readonly (readonly number[])[];
  #sentCount = 0;
  #answered: ((isAccepted: boolean) => void) | undefined;

  private constructor(socket: Socket, requests: readonly Buffer[]) {
    this.#socket = socket;
    this.#requests = requests;
    this.#idsAt = requests.map(idsAt);
  }

  static async connect(
    { httpPort, token }: EdgeProcess,
    { events, topic, batchSize }: { events: readonly Buffer[]; topic: string; batchSize: number },
  ): Promise<HttpBatchLoad> {
    const socket = connect({ port: httpPort, host: "127.0.0.1", noDelay: true });
    await once(socket, "connect");
    const requests: Buffer[] = [];
    for (let at = 0; at + batchSize <= events.length; at += batchSize) {
      const body = `[${events.slice(at, at + batchSize).join(",")}]`;
      requests.push(
        Buffer.from(
          `POST /v1/topics/${topic}/events HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer ${token}\r\n` +
            `content-type: application/cloudevents-batch+json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
        ),
      );
    }
    const load = new HttpBatchLoad(socket, requests);
    // Answers are short and come one at a time: each is one chunk.
    socket.on("data", (chunk: Buffer) => {
      load.#answered?.(chunk.toString("latin1", 0, 15).startsWith("HTTP/1.1 2"));
    });
    return load;
  }

  /** Posts so many batches one after the other; throws when one is not accepted. */
  async post(batchCount: number): Promise<void> {
    for (let left = batchCount; left > 0; left -= 1) await this.#postOne();
  }

  async run(durationMs: number): Promise<number> {
    const endMs = performance.now() + durationMs;
    let count = 0;
    for (; performance.now() < endMs; count += 1) await this.#postOne();
    return count;
  }

  close(): void {
    this.#socket.destroy();
  }

  async #postOne(): Promise<void> {
    const answer = new Promise<boolean>((resolve) => (this.#answered = resolve));
    const index = this.#sentCount % this.#requests.length;
    const request = this.#requests[index] as Buffer;
    setIds(request, this.#idsAt[index] ?? []);
    this.#socket.write(request);
    this.#sentCount += 1;
    if (!(await answer)) throw new Error("the door refused a batch");
  }
}

/** Fills the buffer with so many events through the HTTP door. */
export async function fill(
  edge: EdgeProcess,
  events: readonly Buffer[],
  count: number,
): Promise<void> {
  const batchSize = 100;
  const topic = "vehicle.telemetry";
  const loads = await Promise.all(
    [0, 1].map(() => HttpBatchLoad.connect(edge, { events, topic, batchSize })),
  );
  await Promise.all(loads.map((load) => load.post(count / batchSize / loads.length)));
  for (const load of loads) load.close();
}
