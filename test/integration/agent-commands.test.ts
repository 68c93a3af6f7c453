import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connectAsync } from "mqtt";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { createLogger, systemChance, systemClock } from "@fleetmesh/core";
import { createEdgeAgent, edgeAgentConfigSchema, type EdgeAgent } from "@fleetmesh/edge-agent";
import { RuntimeHarness } from "./runtime-harness.ts";

const logger = createLogger({ part: "test", level: "silent" });
const patience = { timeout: 30_000, interval: 50 };
let directory: string;
let region: RuntimeHarness;
let agent: EdgeAgent;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "fleetmesh-commands-"));
  region = await RuntimeHarness.open();
  const config = edgeAgentConfigSchema.parse({
    agentId: "car-1",
    dataDir: directory,
    doors: { mqtt: { port: 0 } },
    auth: { jwks: { keys: [region.key.publicKey as { kty: string }] } },
    uplink: {
      url: `mqtt://127.0.0.1:${region.runtime.mqttPort}`,
      token: await region.token(undefined, "car-1"),
    },
  });
  agent = createEdgeAgent(config, { clock: systemClock, chance: systemChance, logger });
  await agent.start();
  await vi.waitUntil(() => agent.uplink.status().state === "online", patience);
});

afterEach(async () => {
  await agent.stop(AbortSignal.timeout(5_000));
  await region.close();
  await rm(directory, { recursive: true, force: true });
});

const textOf = (id: string) => `{"specversion":"1.0","id":"${id}","source":"/ops","type":"lock"}`;

function send(to: string, body: string, mesh?: Parameters<RuntimeHarness["token"]>[0]) {
  const headers = { "content-type": "application/cloudevents+json" };
  return region.request(`/v1/agents/${to}/commands`, { method: "POST", headers, body }, mesh);
}

interface Result {
  readonly type: string;
  readonly causationid: string;
}

async function results(): Promise<Result[]> {
  const response = await region.request("/v1/topics/mesh.command.result/events");
  if (response.status === 404) return [];
  return ((await response.json()) as { events: Result[] }).events;
}

describe("commands from the region", () => {
  it("reach the local subscribers of that agent, and the result comes back as an event", async () => {
    const unheard = await send("car-1", textOf("c1"));
    expect([unheard.status, await unheard.json()]).toEqual([202, { agentId: "car-1", id: "c1" }]);
    await vi.waitUntil(async () => (await results()).length === 1, patience);

    const client = await connectAsync(`mqtt://127.0.0.1:${agent.ports.mqtt}`, {
      username: "local",
      password: await region.token(),
      reconnectPeriod: 0,
    });
    const heard: string[] = [];
    client.on("message", (topic, payload) => heard.push(`${topic} ${payload.toString()}`));
    await client.subscribeAsync("commands/#", { qos: 1 });
    expect((await send("car-1", textOf("c2"))).status).toBe(202);
    await vi.waitUntil(async () => (await results()).length === 2, patience);
    expect(heard).toEqual([`commands/car-1 ${textOf("c2")}`]);
    expect((await results()).map(({ type, causationid }) => [type, causationid])).toEqual([
      ["com.fleetmesh.command.undeliverable.v1", "c1"],
      ["com.fleetmesh.command.delivered.v1", "c2"],
    ]);
    await client.endAsync();
  });

  it("are an operator's, one valid CloudEvent each, and for agents that are connected", async () => {
    const other = { publish: [">"], subscribe: [">"] };
    expect((await send("car-1", textOf("c1"), other)).status).toBe(403);
    expect((await send("car-2", textOf("c1"), other)).status).toBe(403);
    expect((await send("car-2", textOf("c1"))).status).toBe(404);
    expect((await send("car-1", `{"id":"c1"}`)).status).toBe(400);
    const plain = { method: "POST", headers: { "content-type": "application/json" }, body: "{}" };
    expect((await region.request("/v1/agents/car-1/commands", plain)).status).toBe(415);
    expect(await results()).toEqual([]);
  });
});
