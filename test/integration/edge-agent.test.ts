import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connectAsync } from "mqtt";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  createLogger,
  noExtensions,
  systemChance,
  systemClock,
  type MeshEvent,
} from "@fleetmesh/core";
import { createSigningKey, issueToken } from "@fleetmesh/door";
import {
  createEdgeAgent,
  edgeAgentConfigSchema,
  type AgentStatus,
  type EdgeAgent,
  type EdgeAgentConfigInput,
  type EdgeLedger,
} from "@fleetmesh/edge-agent";
import { TestBroker } from "./test-broker.ts";

const logger = createLogger({ part: "test", level: "silent" });
const agentId = "vehicle-1";
const limit = { countMax: 100_000, bytesMax: 1e9 };

let directory: string;
let broker: TestBroker;
let token: string;
let jwks: { keys: (Record<string, unknown> & { kty: string })[] };
const running: EdgeAgent[] = [];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "fleetmesh-edge-"));
  broker = new TestBroker();
  await broker.start();
  const key = await createSigningKey("test");
  jwks = { keys: [key.publicKey as Record<string, unknown> & { kty: string }] };
  const mesh = { publish: [">"], subscribe: [">"] };
  token = await issueToken(key, { sub: "tester", jti: "1", mesh });
});

afterEach(async () => {
  for (const agent of running.splice(0)) await agent.stop(AbortSignal.timeout(5_000));
  await broker.close();
  await rm(directory, { recursive: true, force: true });
});

async function startAgent(more: Partial<EdgeAgentConfigInput> = {}): Promise<EdgeAgent> {
  const config = edgeAgentConfigSchema.parse({
    agentId,
    dataDir: directory,
    uplink: {
      url: `mqtt://127.0.0.1:${broker.port}`,
      token: "uplink",
      reconnect: { initialMs: 20, maxMs: 200 },
    },
    ...more,
  });
  const ports = { clock: systemClock, chance: systemChance, logger };
  const agent = createEdgeAgent(config, ports);
  await agent.start();
  running.push(agent);
  return agent;
}

const doors = { http: { port: 0 }, mqtt: { port: 0 } };

function eventOf(id: string): MeshEvent {
  return {
    id,
    source: "/vehicle/1",
    type: "speed",
    subject: undefined,
    time: undefined,
    datacontenttype: "application/json",
    dataschema: undefined,
    extensions: noExtensions,
    data: Buffer.from(`{"speed":${id.length}}`),
    dataKind: "json",
  };
}

async function until(what: string, isTrue: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 400; tries += 1) {
    if (await isTrue()) return;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  throw new Error(`never: ${what}`);
}

async function storedIds(topic: string): Promise<string[]> {
  const page = await broker.region.store.events.read(topic, "earliest", limit);
  return page.events.map(({ entry }) => entry.event.id);
}

async function atRest(agent: EdgeAgent): Promise<void> {
  await until("everything is confirmed", async () => (await agent.ledger()).total.queued === 0);
}

describe("edge agent with its real buffer, wire and MQTT link", () => {
  it("brings what its HTTP and MQTT doors acknowledged to the region, and its ledger balances", async () => {
    const agent = await startAgent({ doors, auth: { jwks }, admin: { port: 0 } });
    const response = await fetch(
      `http://127.0.0.1:${agent.ports.http}/v1/topics/test.http/events`,
      {
        method: "POST",
        headers: {
          authorization: `Bearer ${token}`,
          "content-type": "application/cloudevents-batch+json",
        },
        body: JSON.stringify([
          { specversion: "1.0", id: "h1", source: "/x", type: "t", data: { n: 1 } },
          { specversion: "1.0", id: "h2", source: "/x", type: "t" },
        ]),
      },
    );
    expect([response.status, await response.json()]).toEqual([200, { accepted: 2 }]);
    const client = await connectAsync(`mqtt://127.0.0.1:${agent.ports.mqtt}`, {
      username: "tester",
      password: token,
      protocolVersion: 4,
      reconnectPeriod: 0,
    });
    const event = `{"specversion":"1.0","id":"m1","source":"/x","type":"t","data":1.50}`;
    await client.publishAsync("events/test.mqtt", event, { qos: 1 });
    await client.endAsync();
    await atRest(agent);
    expect(await storedIds("test.http")).toEqual(["h1", "h2"]);
    expect(await storedIds("test.mqtt")).toEqual(["m1"]);

    const admin = `http://127.0.0.1:${agent.ports.admin}`;
    const ledger = (await (await fetch(`${admin}/v1/ledger`)).json()) as EdgeLedger;
    expect(ledger.total).toMatchObject({ produced: 3, stored: 3, queued: 0, difference: 0 });
    const status = (await (await fetch(`${admin}/status.json`)).json()) as AgentStatus;
    expect(status).toMatchObject({ agentId, uplink: { state: "online" } });
    const metrics = await (await fetch(`${admin}/metrics`)).text();
    expect(metrics).toMatch(/fleetmesh_events_received_total\{topic="test.http",door="http"\} 2/);
    expect(metrics).toMatch(/fleetmesh_uplink_bytes_total\{topic="test.mqtt"\} [1-9]/);
    expect(metrics).toMatch(
      /fleetmesh_edge_evicted_total\{topic="",class="normal",reason="evicted"\} 0/,
    );
    expect((await fetch(`${admin}/readyz`)).status).toBe(200);
    expect(await (await fetch(`${admin}/`)).text()).toContain("Fleetmesh");
    expect((await fetch(`${admin}/nothing`)).status).toBe(404);
  });

  it("keeps every byte of large batches, though the memory of their bodies is used again", async () => {
    const agent = await startAgent({ doors, auth: { jwks } });
    const url = `http://127.0.0.1:${agent.ports.http}/v1/topics/test.large/events`;
    const wanted = new Map<string, string>();
    const post = async (sender: number): Promise<void> => {
      for (let round = 0; round < 8; round += 1) {
        const events = Array.from({ length: 40 }, (_, at) => {
          const id = `${sender}-${round}-${at}`;
          const data = `${id} `.repeat(400 + 10 * round + sender);
          wanted.set(id, JSON.stringify(data));
          return { specversion: "1.0", id, source: "/x", type: "t", data };
        });
        const headers = {
          authorization: `Bearer ${token}`,
          "content-type": "application/cloudevents-batch+json",
        };
        const response = await fetch(url, {
          method: "POST",
          headers,
          body: JSON.stringify(events),
        });
        expect(response.status).toBe(200);
      }
    };
    await Promise.all([0, 1, 2].map(post));
    await atRest(agent);
    const { events } = await broker.region.store.events.read("test.large", "earliest", limit);
    const stored = events.map(({ entry: { event } }) => [
      event.id,
      Buffer.from(event.data ?? []).toString(),
    ]);
    expect(stored).toHaveLength(wanted.size);
    expect(new Map(stored as [string, string][])).toEqual(wanted);
  });

  it("refuses who has no token, at the HTTP and the MQTT door", async () => {
    const agent = await startAgent({ doors, auth: { jwks } });
    const response = await fetch(`http://127.0.0.1:${agent.ports.http}/v1/topics/test/events`, {
      method: "POST",
      body: "{}",
    });
    expect(response.status).toBe(401);
    const options = { protocolVersion: 4, reconnectPeriod: 0 } as const;
    await expect(
      connectAsync(`mqtt://127.0.0.1:${agent.ports.mqtt}`, options, false),
    ).rejects.toThrow();
  });

  it("takes events while the region is away, also across its own restart, and brings them in order, once", async () => {
    await broker.close();
    const ids = Array.from({ length: 300 }, (_, at) => `e${at}`);
    const first = await startAgent();
    for (const id of ids.slice(0, 150)) await first.publish("test.away", eventOf(id));
    await first.stop(AbortSignal.timeout(5_000));
    const second = await startAgent();
    for (const id of ids.slice(150)) await second.publish("test.away", eventOf(id));
    await broker.open();
    await atRest(second);
    expect(await storedIds("test.away")).toEqual(ids);
    expect((await second.ledger()).total).toMatchObject({ stored: 300, difference: 0 });
  });

  it("loses nothing and stores once when connections break while it sends", async () => {
    const agent = await startAgent();
    const ids = Array.from({ length: 400 }, (_, at) => `e${at}`);
    for (const [at, id] of ids.entries()) {
      await agent.publish("test.storm", eventOf(id));
      if (at % 100 === 50) await broker.close();
      if (at % 100 === 70) await broker.open();
    }
    await atRest(agent);
    expect(await storedIds("test.storm")).toEqual(ids);
  });

  it("gives an event without an id one of its own that comes out of the region", async () => {
    const agent = await startAgent();
    await agent.publish("test.made", eventOf(""), eventOf(""));
    await atRest(agent);
    const ids = await storedIds("test.made");
    expect(new Set(ids).size).toBe(2);
    expect(ids[0]).toContain(agent.buffers.current.epoch);
  });

  it("hands a command of the region to local subscribers", async () => {
    const agent = await startAgent({ doors, auth: { jwks } });
    const client = await connectAsync(`mqtt://127.0.0.1:${agent.ports.mqtt}`, {
      username: "tester",
      password: token,
      protocolVersion: 4,
      reconnectPeriod: 0,
    });
    const heard = new Promise<string>((resolve) =>
      client.on("message", (topic, payload) => resolve(`${topic} ${payload.toString()}`)),
    );
    await client.subscribeAsync("commands/#", { qos: 1 });
    await until("the uplink is online", () =>
      Promise.resolve(agent.uplink.status().state === "online"),
    );
    const command = `{"specversion":"1.0","id":"c1","source":"/ops","type":"lock"}`;
    broker.command(agentId, command);
    expect(await heard).toBe(`commands/${agentId} ${command}`);
    await client.endAsync();
  });

  it("lets two agents live in one process without knowing of each other", async () => {
    const one = await startAgent({ agentId: "one", dataDir: join(directory, "one") });
    const two = await startAgent({ agentId: "two", dataDir: join(directory, "two") });
    await one.publish("test.one", eventOf("1"));
    await two.publish("test.two", eventOf("2"));
    await Promise.all([atRest(one), atRest(two)]);
    expect(await storedIds("test.one")).toEqual(["1"]);
    expect(await storedIds("test.two")).toEqual(["2"]);
    expect(await one.registry.metrics()).not.toContain("test.two");
  });
});
