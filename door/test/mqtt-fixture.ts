import { connect as connectTcp, type Socket } from "node:net";
import { connectAsync, type IClientOptions, type MqttClient } from "mqtt";
import { EventsRoute } from "../src/mqtt/events-route.ts";
import { MqttDoor, type MqttDoorOptions } from "../src/mqtt/mqtt-door.ts";
import { doorParts, soon, type DoorParts } from "./door-fixture.ts";

export interface DoorUnderTest extends DoorParts {
  readonly door: MqttDoor;
  /** connected, disconnected and subscribed, as the runtime is told. */
  readonly told: string[];
}

/** A door with the events route; every topic under commands/ and acks/ may be subscribed to. */
export async function openDoor(options: Partial<MqttDoorOptions> = {}): Promise<DoorUnderTest> {
  const parts = doorParts();
  const told: string[] = [];
  const door = new MqttDoor({
    ...parts,
    listen: { host: "127.0.0.1", port: 0 },
    routes: [new EventsRoute(parts)],
    maySubscribe: (_principal, _clientId, filter) => /^(commands|acks)\//.test(filter),
    hooks: {
      onConnected: ({ clientId, principal }) => told.push(`+${clientId} ${principal.name}`),
      onDisconnected: ({ clientId }, reason) => told.push(`-${clientId} ${reason}`),
      onSubscribed: ({ clientId }, filter) => told.push(`${clientId} > ${filter}`),
    },
    ...options,
  });
  await door.start();
  return { ...parts, door, told };
}

/** Everything a test opened, closed after it. */
export class Clients {
  readonly #clients: MqttClient[] = [];
  readonly #sockets: Socket[] = [];

  async connect(door: MqttDoor, options: IClientOptions = {}): Promise<MqttClient> {
    const client = await connectAsync({
      host: "127.0.0.1",
      port: door.port,
      protocol: "mqtt",
      reconnectPeriod: 0,
      username: "user",
      password: "any",
      ...options,
    });
    client.on("error", () => undefined);
    this.#clients.push(client);
    return client;
  }

  raw(door: MqttDoor): RawClient {
    const socket = connectTcp(door.port, "127.0.0.1");
    this.#sockets.push(socket);
    return new RawClient(socket);
  }

  close(): void {
    for (const client of this.#clients.splice(0)) client.end(true);
    for (const socket of this.#sockets.splice(0)) socket.destroy();
  }
}

/** Packets made by hand. */
export class RawClient {
  readonly socket: Socket;
  readonly closed: Promise<void>;
  received = Buffer.alloc(0);
  isClosed = false;
  #wake: (() => void)[] = [];

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on("data", (chunk) => {
      this.received = Buffer.concat([this.received, chunk]);
      this.#wakeAll();
    });
    socket.on("error", () => undefined);
    this.closed = new Promise((resolve) => socket.once("close", () => resolve()));
    void this.closed.then(() => {
      this.isClosed = true;
      this.#wakeAll();
    });
  }

  send(packet: Buffer): void {
    this.socket.write(packet);
  }

  /** The bytes received, once there are that many or the connection is closed. */
  async bytes(count: number): Promise<Buffer> {
    while (this.received.length < count && !this.isClosed) {
      await new Promise<void>((resolve) => this.#wake.push(resolve));
    }
    return this.received;
  }

  #wakeAll(): void {
    for (const wake of this.#wake.splice(0)) wake();
  }
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 255]), bytes]);
}

/** Any packet: first byte and body, with the length field. */
export function packet(first: number, body: Buffer): Buffer {
  const length: number[] = [];
  let rest = body.length;
  do {
    length.push((rest & 127) | (rest > 127 ? 128 : 0));
    rest >>= 7;
  } while (rest > 0);
  return Buffer.concat([Buffer.from([first, ...length]), body]);
}

export function connectPacket(
  clientId: string,
  options: { clean?: boolean; token?: string } = {},
): Buffer {
  const { clean = true, token = "any" } = options;
  const flags = 0xc0 | (clean ? 2 : 0);
  const start = Buffer.from([4, flags, 0, 60]);
  return packet(0x10, Buffer.concat([text("MQTT"), start, text(clientId), text("u"), text(token)]));
}

export interface RawPublish {
  readonly topic: string;
  readonly payload: string;
  readonly qos: 0 | 1 | 2;
  readonly id?: number;
}

export function publishPacket({ topic, payload, qos, id = 1 }: RawPublish): Buffer {
  const mid = qos > 0 ? Buffer.from([id >> 8, id & 255]) : Buffer.alloc(0);
  return packet(0x30 | (qos << 1), Buffer.concat([text(topic), mid, Buffer.from(payload)]));
}

export function subscribePacket(id: number, filters: readonly string[]): Buffer {
  const list = filters.map((filter) => Buffer.concat([text(filter), Buffer.from([1])]));
  return packet(0x82, Buffer.concat([Buffer.from([id >> 8, id & 255]), ...list]));
}

export { soon };
