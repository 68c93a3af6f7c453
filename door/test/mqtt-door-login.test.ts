import { afterEach, describe, expect, it } from "vitest";
import type { MqttDoorOptions } from "../src/mqtt/mqtt-door.ts";
import { eventText, soon, until } from "./door-fixture.ts";
import { Clients, connectPacket, openDoor, packet, type DoorUnderTest } from "./mqtt-fixture.ts";

const clients = new Clients();
let opened: DoorUnderTest | undefined;
const topic = "events/vehicle.telemetry";
const connack = (code: number): Buffer => Buffer.from([0x20, 2, 0, code]);

async function open(options: Partial<MqttDoorOptions> = {}): Promise<DoorUnderTest> {
  opened = await openDoor(options);
  return opened;
}

afterEach(async () => {
  opened?.intake.release();
  clients.close();
  await opened?.door.stop(soon());
});

describe("mqtt door: letting in", () => {
  it("answers 4 to a bad token, 5 to none, 3 to an address that failed too often", async () => {
    const { door } = await open();
    const answer = async (token: string): Promise<Buffer> => {
      const raw = clients.raw(door);
      raw.send(connectPacket("a", { token }));
      const got = await raw.bytes(4);
      await raw.closed;
      return got;
    };
    expect(await answer("guess")).toEqual(connack(4));
    const none = clients.raw(door);
    none.send(packet(0x10, Buffer.from([0, 4, 77, 81, 84, 84, 4, 2, 0, 60, 0, 1, 97])));
    expect(await none.bytes(4)).toEqual(connack(5));
    for (let at = 0; at < 4; at += 1) await answer("guess");
    expect(await answer("guess")).toEqual(connack(3));
  });

  it("answers 1 to another protocol version, and 2 to no client id without a clean session", async () => {
    const { door } = await open();
    const five = clients.raw(door);
    five.send(packet(0x10, Buffer.from([0, 4, 77, 81, 84, 84, 5, 2, 0, 60, 0, 0, 1, 97])));
    expect(await five.bytes(4)).toEqual(connack(1));
    const nameless = clients.raw(door);
    nameless.send(connectPacket("", { clean: false }));
    expect(await nameless.bytes(4)).toEqual(connack(2));
    await nameless.closed;
    const clean = clients.raw(door);
    clean.send(connectPacket("", { clean: true }));
    expect(await clean.bytes(4)).toEqual(connack(0));
  });

  it("refuses an oversize packet from its header, before its body came", async () => {
    const { door } = await open();
    const raw = clients.raw(door);
    raw.send(connectPacket("a"));
    await raw.bytes(4);
    raw.send(Buffer.from([0x32, 0xff, 0xff, 0xff, 0x7f]));
    await raw.closed;
    expect(raw.received).toEqual(connack(0));
  });

  it("refuses 64 KiB before CONNECT was accepted, anything but CONNECT first, and an endless length", async () => {
    const { door } = await open();
    for (const bytes of [
      [0x10, 0x80, 0x80, 0x04],
      [0x30, 0x00],
      [0x10, 0x80, 0x80, 0x80, 0x80],
      [0x00, 0x00],
      [0xf0, 0x00],
    ]) {
      const raw = clients.raw(door);
      raw.send(Buffer.from(bytes));
      await raw.closed;
      expect(raw.received).toEqual(Buffer.alloc(0));
    }
  });

  it("closes a connection whose CONNECT does not come in time, also one that trickles", async () => {
    const { door } = await open({ limits: { connectTimeoutMs: 100 } });
    const silent = clients.raw(door);
    const trickling = clients.raw(door);
    const bytes = connectPacket("a");
    let at = 0;
    const drip = setInterval(() => {
      if (at < bytes.length - 1) trickling.send(bytes.subarray(at, (at += 1)));
    }, 20);
    await Promise.all([silent.closed, trickling.closed]);
    clearInterval(drip);
    await until(() => door.connectionCount === 0);
  });

  it("bounds the connections in all and per address", async () => {
    const { door } = await open({ limits: { connectionsMax: 3 } });
    const sockets = Array.from({ length: 20 }, () => clients.raw(door));
    await until(() => sockets.filter(({ isClosed }) => isClosed).length === 17);
    expect(door.connectionCount).toBe(3);
    clients.close();
    await door.stop(soon());
    const second = (await open({ limits: { connectionsPerAddressMax: 2 } })).door;
    const more = Array.from({ length: 10 }, () => clients.raw(second));
    await until(() => more.filter(({ isClosed }) => isClosed).length === 8);
    more.find(({ isClosed }) => !isClosed)?.socket.destroy();
    await until(() => second.connectionCount === 1);
    await clients.connect(second);
    expect(second.connectionCount).toBe(2);
  });

  it("gives a client id to the newer connection of the same principal and tells who came and went in order", async () => {
    const { door, told } = await open();
    const first = await clients.connect(door, { clientId: "agent" });
    await first.subscribeAsync(["commands/agent", "acks/agent", "commands/x/+"], { qos: 1 });
    const second = await clients.connect(door, { clientId: "agent" });
    await until(() => told.length === 6);
    expect(told).toEqual([
      "+agent any",
      "agent > commands/agent",
      "agent > acks/agent",
      "agent > commands/x/+",
      "-agent taken-over",
      "+agent any",
    ]);
    expect(door.clients()).toHaveLength(1);
    await second.publishAsync(topic, eventText("a"), { qos: 1 });
    const many = Array.from({ length: 8 }, () => clients.connect(door, { clientId: "agent" }));
    await Promise.allSettled(many);
    await until(() => door.connectionCount === 1 && door.clients().length === 1);
    const last = clients.raw(door);
    last.send(connectPacket("agent"));
    expect(await last.bytes(4)).toEqual(connack(0));
    await until(() => door.connectionCount === 1);
  });

  it("does not let another principal put out a connected client", async () => {
    const { door, registry } = await open();
    const victim = await clients.connect(door, { clientId: "agent" });
    const thief = clients.raw(door);
    thief.send(connectPacket("agent", { token: "other" }));
    expect(await thief.bytes(4)).toEqual(connack(2));
    await victim.publishAsync(topic, eventText("a"), { qos: 1 });
    expect(await registry.metrics()).toContain('reason="client_id_in_use"');
  });

  it("survives any bytes, before and after CONNECT", async () => {
    const { door } = await open({ limits: { connectTimeoutMs: 200 } });
    let seed = 7;
    const next = (): number => (seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0) >>> 16;
    for (let round = 0; round < 300; round += 1) {
      const raw = clients.raw(door);
      const noise = Buffer.from(Array.from({ length: next() % 200 }, () => next() & 255));
      const first = (1 + (next() % 14)) << 4;
      const shaped = packet(first | (next() % 16), noise);
      if (round % 3 === 0) raw.send(packet(0x10, noise));
      else raw.send(Buffer.concat([connectPacket(`c${round}`), round % 3 === 1 ? shaped : noise]));
      if (round % 10 === 9) await raw.bytes(1);
    }
    clients.close();
    const client = await clients.connect(door);
    await client.publishAsync(topic, eventText("still there"), { qos: 1 });
  });

  it("says PORT_TAKEN when its port is in use", async () => {
    const { door } = await open();
    const taken = openDoor({ listen: { host: "127.0.0.1", port: door.port } });
    await expect(taken).rejects.toMatchObject({ kind: "PORT_TAKEN" });
  });
});
