import { afterEach, describe, expect, it } from "vitest";
import type { MqttDoorOptions } from "../src/mqtt/mqtt-door.ts";
import { soon, until } from "./door-fixture.ts";
import {
  Clients,
  connectPacket,
  openDoor,
  packet,
  subscribePacket,
  type DoorUnderTest,
} from "./mqtt-fixture.ts";

const clients = new Clients();
let opened: DoorUnderTest | undefined;
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

describe("mqtt door: downlink", () => {
  it("sends to subscribers, tells of subscriptions, and of those that a kept session brings back", async () => {
    const { door, told } = await open();
    const options = { clientId: "agent", clean: false };
    const first = await clients.connect(door, options);
    await first.subscribeAsync("commands/agent", { qos: 1 });
    await first.endAsync();
    await until(() => told.includes("-agent closed"));
    await door.publishTo("commands/agent", Buffer.from("while away"));
    const second = clients.raw(door);
    second.send(connectPacket("agent", { clean: false }));
    await until(() => second.received.includes("while away"));
    expect(second.received.subarray(0, 4)).toEqual(Buffer.from([0x20, 2, 1, 0]));
    await until(() => told.filter((line) => line === "agent > commands/agent").length === 2);
  });

  it("keeps a denied subscription denied over a reconnect", async () => {
    const { door, told } = await open();
    const raw = clients.raw(door);
    raw.send(connectPacket("agent", { clean: false }));
    await raw.bytes(4);
    raw.send(subscribePacket(5, ["commands/agent", "secret/x", "#"]));
    expect((await raw.bytes(11)).subarray(4).toString("hex")).toBe("90050005" + "018080");
    raw.socket.destroy();
    await until(() => told.includes("-agent closed"));
    await door.publishTo("secret/x", Buffer.from("secret"));
    await door.publishTo("commands/agent", Buffer.from("offline"));
    const again = clients.raw(door);
    again.send(connectPacket("agent", { clean: false }));
    await until(() => again.received.includes("offline"));
    await door.publishTo("secret/x", Buffer.from("secret"));
    await door.publishTo("commands/agent", Buffer.from("online"));
    await until(() => again.received.includes("online"));
    expect(again.received.includes("secret")).toBe(false);
  });

  it("does not bring a denied subscription to life when the permission comes later", async () => {
    let isOpen = false;
    const maySubscribe = (_principal: unknown, _clientId: string, filter: string): boolean =>
      isOpen || filter.startsWith("commands/");
    const { door, told } = await open({ maySubscribe });
    const raw = clients.raw(door);
    raw.send(connectPacket("agent", { clean: false }));
    await raw.bytes(4);
    raw.send(subscribePacket(5, ["commands/agent", "secret/x"]));
    await raw.bytes(10);
    raw.socket.destroy();
    await until(() => told.includes("-agent closed"));
    isOpen = true;
    await door.publishTo("secret/x", Buffer.from("secret"));
    await door.publishTo("commands/agent", Buffer.from("offline"));
    const again = clients.raw(door);
    again.send(connectPacket("agent", { clean: false }));
    await until(() => again.received.includes("offline"));
    expect(again.received.includes("secret")).toBe(false);
  });

  it("stops forwarding when a permission ends while the client is connected", async () => {
    let isPermitted = true;
    const { door } = await open({ maySubscribe: () => isPermitted });
    const raw = clients.raw(door);
    raw.send(connectPacket("agent"));
    await raw.bytes(4);
    raw.send(subscribePacket(1, ["commands/#"]));
    await raw.bytes(9);
    await door.publishTo("commands/a", Buffer.from("before"));
    await until(() => raw.received.includes("before"));
    isPermitted = false;
    await door.publishTo("commands/a", Buffer.from("after"));
    raw.send(packet(0xc0, Buffer.alloc(0)));
    await until(() => raw.received.at(-2) === 0xd0);
    expect(raw.received.includes("after")).toBe(false);
  });

  it("refuses shared subscriptions and $SYS openly, and more subscriptions than allowed", async () => {
    const { door } = await open({ maySubscribe: () => true, limits: { subscriptionsMax: 2 } });
    const raw = clients.raw(door);
    raw.send(connectPacket("a"));
    await raw.bytes(4);
    raw.send(subscribePacket(1, ["$share/g/x", "$SYS/#", "a/b", "a/c", "a/d"]));
    const suback = (await raw.bytes(13)).subarray(4);
    expect(suback.toString("hex")).toBe("90070001" + "8080010180");
  });

  it("drops the connection of a subscriber that takes nothing, and delays nobody for it", async () => {
    const { door, registry } = await open({ limits: { outputBytesMax: 512 * 1024 } });
    const slow = clients.raw(door);
    slow.send(connectPacket("slow"));
    await slow.bytes(4);
    slow.send(subscribePacket(1, ["commands/all"]));
    await slow.bytes(9);
    slow.socket.pause();
    const healthy = await clients.connect(door);
    await healthy.subscribeAsync("commands/all", { qos: 1 });
    let got = 0;
    let lastMs = performance.now();
    let gapMs = 0;
    healthy.on("message", () => {
      got += 1;
      gapMs = Math.max(gapMs, performance.now() - lastMs);
      lastMs = performance.now();
    });
    const payload = Buffer.alloc(64 * 1024, 1);
    for (let at = 0; at < 200; at += 1) {
      await door.publishTo("commands/all", payload);
      await until(() => got > at);
    }
    expect(got).toBe(200);
    expect(gapMs).toBeLessThan(250);
    slow.socket.resume();
    await slow.closed;
    expect(door.clients()).toHaveLength(1);
    expect(await registry.metrics()).toContain('{reason="slow_subscriber"} 1');
  });

  it("bounds what waits for an absent client, and drops the oldest first", async () => {
    const { door, told, registry } = await open({ limits: { offlineCountMax: 3 } });
    const first = await clients.connect(door, { clientId: "agent", clean: false });
    await first.subscribeAsync("commands/agent", { qos: 1 });
    await first.endAsync();
    await until(() => told.includes("-agent closed"));
    for (let at = 1; at <= 10; at += 1) {
      await door.publishTo("commands/agent", Buffer.from(`[m${at}]`));
    }
    const raw = clients.raw(door);
    raw.send(connectPacket("agent", { clean: false }));
    await until(() => raw.received.includes("[m10]"));
    const got = raw.received.toString("latin1").match(/\[m\d+\]/g);
    expect(got).toEqual(["[m8]", "[m9]", "[m10]"]);
    expect(await registry.metrics()).toContain('{reason="offline_queue_full"} 7');
  });

  it("does not hand one principal's kept session to another", async () => {
    const { door, told } = await open();
    const first = await clients.connect(door, { clientId: "agent", clean: false });
    await first.subscribeAsync("commands/agent", { qos: 1 });
    await first.endAsync();
    await until(() => told.includes("-agent closed"));
    await door.publishTo("commands/agent", Buffer.from("private"));
    const raw = clients.raw(door);
    raw.send(connectPacket("agent", { clean: false, token: "other" }));
    expect(await raw.bytes(4)).toEqual(connack(0));
    raw.send(packet(0xc0, Buffer.alloc(0)));
    await until(() => raw.received.at(-2) === 0xd0);
    expect(raw.received.includes("private")).toBe(false);
  });

  it("closes a connection when its token is over, and when the runtime asks", async () => {
    const { door, admission } = await open();
    const client = await clients.connect(door);
    await until(() => door.clients().length === 1);
    const info = door.clients()[0];
    const closed = new Promise<void>((resolve) => client.once("close", () => resolve()));
    door.disconnect(info?.connectionId ?? 0, "cloned");
    await closed;
    const raw = clients.raw(door);
    raw.send(connectPacket("b"));
    await raw.bytes(4);
    admission.isOver = () => true;
    await raw.closed;
  });
});
