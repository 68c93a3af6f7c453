import { once } from "node:events";
import { connect } from "node:net";
import { connectAsync, type IClientOptions, type MqttClient } from "mqtt";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { MeshClaim } from "@fleetmesh/door";
import { allowAll, eventText, RuntimeHarness } from "./runtime-harness.ts";

let region: RuntimeHarness;
const clients: MqttClient[] = [];

beforeEach(async () => {
  region = await RuntimeHarness.open({ store: { type: "memory" } });
});
afterEach(async () => {
  for (const client of clients.splice(0)) await client.endAsync(true);
  await region.close();
});

async function login(
  clientId: string,
  mesh: MeshClaim,
  more: IClientOptions = {},
): Promise<MqttClient> {
  const client = await connectAsync(`mqtt://127.0.0.1:${region.runtime.mqttPort}`, {
    ...{ clientId, username: clientId, password: await region.token(mesh, clientId) },
    ...{ reconnectPeriod: 0, ...more },
  });
  client.on("error", () => undefined);
  clients.push(client);
  return client;
}

/** Resolves when the other side closed without a byte. */
async function isCut(bytes: Uint8Array): Promise<boolean> {
  const socket = connect(region.runtime.mqttPort, "127.0.0.1");
  let answered = 0;
  socket.on("data", (chunk) => (answered += chunk.length));
  socket.on("error", () => undefined);
  socket.write(bytes);
  await once(socket, "close");
  return answered === 0;
}

function closing(client: MqttClient): Promise<void> {
  return new Promise((resolve) => client.once("close", () => resolve()));
}

const publisher = { publish: ["a.*"] };

describe("the region's MQTT port under hostile clients", () => {
  it("cuts whatever is not MQTT, too large or out of turn, and serves on", async () => {
    const hostile: Record<string, Uint8Array> = {
      http: Buffer.from("GET / HTTP/1.1\r\nhost: x\r\n\r\n"),
      tls: Buffer.from("160301020001000001fc0303", "hex"),
      "a publish before CONNECT": Buffer.from("3203000161", "hex"),
      "256 MB announced": Buffer.from("10ffffff7f", "hex"),
      "an endless length": Buffer.from("10ffffffffff", "hex"),
      "a protocol of another name": Buffer.from("100c00044d51585804020000000178", "hex"),
    };
    for (const [name, bytes] of Object.entries(hostile)) {
      expect(await isCut(bytes), name).toBe(true);
    }
    const client = await login("good", publisher);
    await client.publishAsync("events/a.b", eventText("still-served"), { qos: 1 });
    expect(await region.ids("a.b")).toEqual(["still-served"]);
  });

  it("lets nobody hear or speak for another agent", async () => {
    const agent = await login("agent-x", { agent: "agent-x", publish: ["a.*"] });
    for (const topic of [
      "#",
      "acks/#",
      "acks/agent-y",
      "commands/agent-y",
      "batches/#",
      "$SYS/#",
    ]) {
      const refused = await agent
        .subscribeAsync(topic, { qos: 1 })
        .catch((error: unknown) => error);
      expect(refused, topic).toBeInstanceOf(Error);
    }
    for (const topic of ["batches/agent-y", "acks/agent-y", "commands/agent-y"]) {
      const intruder = await login("agent-x", { agent: "agent-x", publish: ["a.*"] });
      const closed = closing(intruder);
      intruder.publish(topic, "x", { qos: 1 });
      await closed;
    }
    expect(await region.ids("a.b")).toEqual([]);
  });

  it("publishes a will by its owner's permissions only", async () => {
    for (const [clientId, topic] of [
      ["may", "a.b"],
      ["may-not", "z.z"],
    ] as const) {
      const payload = Buffer.from(eventText(`will-of-${clientId}`));
      const will = { topic: `events/${topic}`, payload, qos: 1 as const, retain: false };
      const client = await login(clientId, publisher, { will });
      client.stream.destroy();
      await closing(client);
    }
    await vi.waitUntil(async () => (await region.ids("a.b")).length > 0, { timeout: 10_000 });
    await region.publish("z.z", eventText("after"));
    expect(await region.ids("a.b")).toEqual(["will-of-may"]);
    expect(await region.ids("z.z")).toEqual(["after"]);
  });

  it("does not let another principal take over a connection's client id", async () => {
    const owner = await login("shared-id", allowAll);
    const options = { clientId: "shared-id", username: "thief", reconnectPeriod: 0 };
    const password = await region.token(publisher, "thief");
    const url = `mqtt://127.0.0.1:${region.runtime.mqttPort}`;
    await expect(connectAsync(url, { ...options, password })).rejects.toThrow();
    await owner.publishAsync("events/a.b", eventText("mine-still"), { qos: 1 });
    expect(await region.ids("a.b")).toEqual(["mine-still"]);
  });
});
