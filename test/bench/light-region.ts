import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import { emptyWatermark, encodeAck, type ClassWatermark, type EventClass } from "@fleetmesh/core";
import {
  connackPacket,
  packetKind,
  PacketStream,
  pingrespPacket,
  pubackPacket,
  qos0Packet,
  subackPacket,
} from "./mqtt-packets.ts";
import { headOfMessage, type BatchHead } from "./message-head.ts";
import { agentId } from "./edge-process.ts";

const creditBytes = 64 * 1024 * 1024;

/**
 * A region that costs next to nothing: it reads the head of each message only, believes the rest, and answers as the
 * protocol asks, with a PUBACK and then an acknowledgement for each batch. It stores nothing, so that what is measured is the agent.
 */
export class LightRegion {
  byteCount = 0;
  batchCount = 0;
  readonly #watermarks: Partial<Record<EventClass, ClassWatermark>> = {};
  readonly #sockets = new Set<Socket>();
  readonly #port: number;
  #server: Server | undefined;
  #onBatch: (head: BatchHead) => void = () => undefined;

  constructor(port: number) {
    this.#port = port;
  }

  /** The highest sequence received of a class. */
  received(eventClass: EventClass): number {
    return this.#watermarks[eventClass]?.sequence ?? 0;
  }

  onBatch(listener: (head: BatchHead) => void): void {
    this.#onBatch = listener;
  }

  async open(): Promise<void> {
    const server = createServer({ noDelay: true }, (socket) => this.#accept(socket));
    server.listen(this.#port, "127.0.0.1");
    await once(server, "listening");
    this.#server = server;
  }

  /** An outage: connections break, and no new one is taken. */
  async close(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (server === undefined) return;
    for (const socket of this.#sockets) socket.destroy();
    server.close();
    await once(server, "close");
  }

  #accept(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on("close", () => this.#sockets.delete(socket));
    socket.on("error", () => undefined);
    const stream = new PacketStream();
    socket.on("data", (chunk: Buffer) => {
      this.byteCount += chunk.length;
      socket.cork();
      stream.push(chunk, (head, body) => this.#answer(socket, head, body));
      socket.uncork();
    });
  }

  #answer(socket: Socket, head: number, body: Buffer): void {
    const kind = head >> 4;
    if (kind === 1) socket.write(connackPacket);
    else if (kind === packetKind.pingreq) socket.write(pingrespPacket);
    else if (kind === packetKind.subscribe) socket.write(subackPacket(body.readUInt16BE(0), 2));
    else if (kind === packetKind.publish) this.#take(socket, body);
  }

  #take(socket: Socket, body: Buffer): void {
    const topicEnd = 2 + body.readUInt16BE(0);
    const message = headOfMessage(body.subarray(topicEnd + 2));
    if (message.kind === "batch") this.#note(message);
    socket.write(pubackPacket(body.readUInt16BE(topicEnd)));
    const ack = encodeAck({
      epoch: message.epoch,
      watermarks: this.#watermarks,
      rejected: [],
      rewind: [],
      creditBytes,
      cloudMs: Date.now(),
    });
    socket.write(qos0Packet(`acks/${agentId}`, ack));
  }

  #note(batch: BatchHead): void {
    this.batchCount += 1;
    const known = this.received(batch.eventClass);
    if (batch.first > known + 1)
      throw new Error(`${batch.eventClass}: ${batch.first} follows ${known}`);
    if (batch.last > known)
      this.#watermarks[batch.eventClass] = {
        ...emptyWatermark,
        sequence: batch.last,
        stored: batch.last,
      };
    this.#onBatch(batch);
  }
}
