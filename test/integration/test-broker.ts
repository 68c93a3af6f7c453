import { createServer, type Socket } from "node:net";
import { Aedes, type AedesPublishPacket } from "aedes";
import { decodeWire, encodeAck, systemClock, type AgentAck } from "@fleetmesh/core";
import type { MemoryPeer } from "../../edge-agent/src/uplink/memory-link.ts";
import { SimulatedRegion } from "../simulation/simulated-region.ts";

/** A region behind a plain aedes broker on a port: the agent's real link, wire and buffer against a store that counts. */
export class TestBroker {
  readonly region: SimulatedRegion;
  port = 0;
  /** Bytes of messages received. */
  bytesReceived = 0;
  #broker: Aedes | undefined;
  #server = createServer();
  readonly #sockets = new Set<Socket>();

  constructor(rejects: (sequence: number) => boolean = () => false) {
    const decode = (bytes: Uint8Array) =>
      decodeWire(bytes, { decodedBytesMax: 64 * 1024 * 1024, eventCountMax: 100_000 });
    this.region = new SimulatedRegion(systemClock, { decode, rejects });
  }

  async start(): Promise<void> {
    await this.region.start();
    await this.open();
  }

  /** Listens (again) on the same port. */
  async open(): Promise<void> {
    const broker = await Aedes.createBroker({ drainTimeout: 1_000 });
    this.#broker = broker;
    broker.authorizePublish = (client, packet, callback) => {
      const agentId = packet.topic.slice("batches/".length);
      const bytes = new Uint8Array(packet.payload as Buffer);
      this.bytesReceived += bytes.length;
      const peer: MemoryPeer = {
        id: 0,
        ack: (ack) => this.#ack(agentId, ack),
        command: () => undefined,
        close: () => client?.close(),
      };
      this.region.accept(peer);
      this.region.receive(peer, bytes).then(
        () => callback(null),
        (error: unknown) => callback(error as Error),
      );
    };
    this.#server = createServer((socket) => {
      this.#sockets.add(socket);
      socket.on("error", () => undefined);
      socket.once("close", () => this.#sockets.delete(socket));
      void broker.handle(socket);
    });
    await new Promise<void>((resolve) => this.#server.listen(this.port, "127.0.0.1", resolve));
    const address = this.#server.address();
    this.port = typeof address === "object" && address !== null ? address.port : 0;
  }

  /** The region's network goes away; the store stays. */
  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
    await new Promise<void>((resolve) => this.#broker?.close(() => resolve()));
  }

  command(agentId: string, payload: string): void {
    this.#publish(`commands/${agentId}`, Buffer.from(payload));
  }

  #ack(agentId: string, ack: AgentAck): void {
    this.#publish(`acks/${agentId}`, Buffer.from(encodeAck(ack)));
  }

  #publish(topic: string, payload: Buffer): void {
    const packet = { cmd: "publish", qos: 1, topic, payload, dup: false, retain: false };
    this.#broker?.publish(packet as AedesPublishPacket, () => undefined);
  }
}
