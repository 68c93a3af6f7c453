import { MeshError } from "@fleetmesh/core";
import { afterEach, describe, expect, it } from "vitest";
import type { MqttDoorOptions } from "../src/mqtt/mqtt-door.ts";
import { eventText, soon, until } from "./door-fixture.ts";
import {
  Clients,
  connectPacket,
  openDoor,
  packet,
  publishPacket,
  type DoorUnderTest,
} from "./mqtt-fixture.ts";

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

describe("mqtt door: publishing", () => {
  it("takes one structured event at QoS 1 and acknowledges it only when it is durable", async () => {
    const { door, intake, registry } = await open();
    const client = await clients.connect(door);
    intake.isHeld = true;
    let isAcked = false;
    const acked = client
      .publishAsync(topic, eventText("a"), { qos: 1 })
      .then(() => (isAcked = true));
    await intake.called(1);
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(isAcked).toBe(false);
    intake.release();
    await acked;
    expect(intake.eventIds).toEqual(["a"]);
    expect(intake.submissions[0]).toMatchObject({ topic: "vehicle.telemetry", door: "mqtt" });
    expect(await registry.metrics()).toContain(
      'fleetmesh_events_received_total{topic="vehicle.telemetry",door="mqtt"} 1',
    );
  });

  it("closes the connection without an acknowledgement when the intake fails, and counts why", async () => {
    const { door, intake, registry } = await open();
    intake.failure = new MeshError("BUFFER_UNAVAILABLE", "disk full");
    const raw = clients.raw(door);
    raw.send(connectPacket("a"));
    await raw.bytes(4);
    raw.send(publishPacket({ topic, payload: eventText("a"), qos: 1 }));
    await raw.closed;
    expect(raw.received).toEqual(connack(0));
    intake.failure = undefined;
    const client = await clients.connect(door, { clientId: "a" });
    await client.publishAsync(topic, eventText("a"), { qos: 1 });
    expect(intake.eventIds).toEqual(["a"]);
    expect(await registry.metrics()).toContain(
      'fleetmesh_door_rejected_total{door="mqtt",code="MESH-4002"} 1',
    );
  });

  it("keeps a QoS 0 publisher connected when a failure will pass", async () => {
    const { door, intake } = await open();
    intake.failure = new MeshError("BUFFER_FULL", "full");
    const raw = clients.raw(door);
    raw.send(connectPacket("a"));
    await raw.bytes(4);
    raw.send(publishPacket({ topic, payload: eventText("lost"), qos: 0 }));
    raw.send(packet(0xc0, Buffer.alloc(0)));
    expect(await raw.bytes(6)).toEqual(Buffer.concat([connack(0), Buffer.from([0xd0, 0])]));
  });

  it("takes all publishes in flight at once, in order, and acknowledges in order whatever ends first", async () => {
    const { door, intake } = await open();
    intake.isHeld = true;
    const raw = clients.raw(door);
    raw.send(connectPacket("a"));
    await raw.bytes(4);
    const ids = Array.from({ length: 64 }, (_, at) => at + 1);
    const packets = ids.map((id) =>
      publishPacket({ topic, payload: eventText(`e${id}`), qos: 1, id }),
    );
    raw.send(Buffer.concat(packets));
    await intake.called(64);
    expect(intake.heldCount).toBe(64);
    expect(intake.eventIds).toEqual(ids.map((id) => `e${id}`));
    intake.release("newest-first");
    const received = (await raw.bytes(4 + 64 * 4)).subarray(4);
    const acked = ids.map((_, at) => received.readUInt16BE(at * 4 + 2));
    expect(acked).toEqual(ids);
  });

  it("acknowledges nothing behind a publish that failed", async () => {
    const { door, intake } = await open();
    const raw = clients.raw(door);
    raw.send(connectPacket("a"));
    await raw.bytes(4);
    const publish = (id: number, payload: string): Buffer =>
      publishPacket({ topic, payload, qos: 1, id });
    raw.send(
      Buffer.concat([
        publish(1, eventText("a")),
        publish(2, "no event"),
        publish(3, eventText("c")),
      ]),
    );
    await raw.closed;
    expect(raw.received).toEqual(Buffer.concat([connack(0), Buffer.from([0x40, 2, 0, 1])]));
    expect(intake.eventIds).toEqual(["a", "c"]);
  });

  it("stores a QoS 2 publish once, also when it comes twice before its release", async () => {
    const { door, intake } = await open();
    const client = await clients.connect(door);
    await client.publishAsync(topic, eventText("a"), { qos: 2 });
    expect(intake.eventIds).toEqual(["a"]);
    const raw = clients.raw(door);
    raw.send(connectPacket("raw"));
    await raw.bytes(4);
    const publish = publishPacket({ topic, payload: eventText("b"), qos: 2, id: 7 });
    raw.send(publish);
    await raw.bytes(8);
    raw.send(publish);
    await raw.bytes(12);
    raw.send(packet(0x62, Buffer.from([0, 7])));
    const answers = (await raw.bytes(16)).subarray(4);
    expect(answers.toString("hex")).toBe("50020007" + "50020007" + "70020007");
    expect(intake.eventIds).toEqual(["a", "b"]);
  });

  it("refuses what the token does not permit, what is no topic, no event or too large, and what no route takes", async () => {
    const { door, intake } = await open();
    const refused = async (to: string, payload: string): Promise<void> => {
      const raw = clients.raw(door);
      raw.send(connectPacket("bad", { token: "car" }));
      await raw.bytes(4);
      raw.send(publishPacket({ topic: to, payload, qos: 1 }));
      await raw.closed;
      expect(raw.received).toEqual(connack(0));
    };
    await refused("events/plant.x", eventText("a"));
    await refused("events/BAD/TOPIC", eventText("a"));
    await refused(topic, "{}");
    await refused(topic, eventText("a", 300_000));
    await refused("elsewhere", eventText("a"));
    await refused("commands/other-car", eventText("a"));
    await refused("$SYS/x", eventText("a"));
    expect(intake.submissions).toEqual([]);
  });

  it("keeps no retained message of a client", async () => {
    const { door, intake } = await open({ maySubscribe: () => true });
    const client = await clients.connect(door);
    await client.publishAsync(topic, eventText("a"), { qos: 1, retain: true });
    const got: string[] = [];
    client.on("message", (name) => got.push(name));
    await client.subscribeAsync(["events/#", "+/+"], { qos: 1 });
    await client.publishAsync(topic, eventText("b"), { qos: 1 });
    expect(intake.eventIds).toEqual(["a", "b"]);
    await door.publishTo("commands/x", Buffer.from("end"));
    await until(() => got.length > 0);
    expect(got).toEqual(["commands/x"]);
  });

  it("sends a will through the intake, and a will without permission nowhere", async () => {
    const { door, intake } = await open();
    const will = (name: string) => ({
      topic: name,
      payload: Buffer.from(eventText("will")),
      qos: 1 as const,
    });
    const dying = await clients.connect(door, { password: "car", will: will(topic) });
    dying.stream.destroy();
    await intake.called(1);
    expect(intake.eventIds).toEqual(["will"]);
    const other = await clients.connect(door, { password: "car", will: will("events/plant.x") });
    other.stream.destroy();
    const leaving = await clients.connect(door, { password: "car", will: will(topic) });
    await leaving.endAsync();
    await until(() => door.connectionCount === 0);
    expect(intake.eventIds).toEqual(["will"]);
  });

  it("hands publishes to a route of its own by prefix", async () => {
    const got: string[] = [];
    const { door } = await open({
      routes: [
        {
          prefix: "batches/",
          take({ rest, clientId, connectionId, payload }) {
            got.push(`${rest} ${clientId} ${connectionId > 0} ${Buffer.from(payload).toString()}`);
            return Promise.resolve();
          },
        },
      ],
    });
    const client = await clients.connect(door, { clientId: "agent-1" });
    await client.publishAsync("batches/agent-1", Buffer.from("bytes"), { qos: 1 });
    expect(got).toEqual(["agent-1 agent-1 true bytes"]);
  });

  it("ends what is in hand when it stops, and takes nothing new", async () => {
    const { door, intake } = await open();
    const client = await clients.connect(door);
    intake.isHeld = true;
    const acked = client.publishAsync(topic, eventText("a"), { qos: 1 });
    await intake.called(1);
    const stopped = door.stop(soon());
    intake.release();
    await acked;
    await stopped;
    expect(door.connectionCount).toBe(0);
    await door.stop(soon());
  });
});
