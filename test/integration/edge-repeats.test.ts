import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { connectAsync, type MqttClient } from "mqtt";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createSigningKey, issueToken } from "@fleetmesh/door";
import type { EdgeLedger } from "@fleetmesh/edge-agent";
import { meshBin } from "../durability/mesh-processes.ts";
import { TestBroker } from "./test-broker.ts";

// What a publisher sends again at the doors of a real agent process, which is killed in between.

let directory: string;
let broker: TestBroker;
let token: string;
let ports: { http: number; mqtt: number; admin: number };
let agent: ChildProcess | undefined;

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  return typeof address === "object" && address ? address.port : 0;
}

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "fleetmesh-edge-repeats-"));
  broker = new TestBroker();
  await broker.start();
  const key = await createSigningKey("test");
  token = await issueToken(key, { sub: "tester", jti: "1", mesh: { publish: [">"] } });
  ports = { http: await freePort(), mqtt: await freePort(), admin: await freePort() };
  const config = {
    agentId: "vehicle-1",
    dataDir: join(directory, "data"),
    doors: { http: { port: ports.http }, mqtt: { port: ports.mqtt } },
    auth: { jwks: { keys: [key.publicKey] } },
    admin: { port: ports.admin },
    uplink: {
      url: `mqtt://127.0.0.1:${broker.port}`,
      token: "uplink",
      reconnect: { initialMs: 20, maxMs: 200 },
    },
  };
  await writeFile(join(directory, "edge.json"), JSON.stringify(config));
  await startAgent();
});

afterEach(async () => {
  await killAgent();
  await broker.close();
  await rm(directory, { recursive: true, force: true });
});

async function startAgent(): Promise<void> {
  const command = [meshBin, "run", "edge", "--config", join(directory, "edge.json")];
  agent = spawn(process.execPath, [...command, "--log-level", "error"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const { stdout } = agent;
  if (!stdout) throw new Error("the agent has no output");
  await once(createInterface({ input: stdout }), "line");
  stdout.resume();
}

async function killAgent(): Promise<void> {
  if (agent?.exitCode !== null || agent.signalCode !== null) return;
  const exited = once(agent, "exit");
  agent.kill("SIGKILL");
  await exited;
}

const eventOf = (id: string, value = 1): Record<string, unknown> => ({
  specversion: "1.0",
  id,
  source: "/ecu/1",
  type: "reading",
  data: { value },
});

async function post(...events: readonly Record<string, unknown>[]): Promise<[number, unknown]> {
  const response = await fetch(`http://127.0.0.1:${ports.http}/v1/topics/test.repeats/events`, {
    method: "POST",
    headers: {
      authorization: `Bearer ${token}`,
      "content-type": "application/cloudevents-batch+json",
    },
    body: JSON.stringify(events),
  });
  return [response.status, await response.json()];
}

function login(): Promise<MqttClient> {
  return connectAsync(`mqtt://127.0.0.1:${ports.mqtt}`, {
    username: "tester",
    password: token,
    protocolVersion: 4,
    reconnectPeriod: 0,
  });
}

async function publish(event: Record<string, unknown>): Promise<void> {
  const client = await login();
  await client.publishAsync("events/test.repeats", JSON.stringify(event), { qos: 1 });
  await client.endAsync();
}

/** When all that the agent has is the region's. */
async function storedIds(): Promise<string[]> {
  for (;;) {
    const response = await fetch(`http://127.0.0.1:${ports.admin}/v1/ledger`);
    const { total } = (await response.json()) as EdgeLedger;
    expect(total.difference).toBe(0);
    if (total.queued === 0) break;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  const limit = { countMax: 1_000, bytesMax: 1e9 };
  const page = await broker.region.store.events.read("test.repeats", "earliest", limit);
  return page.events.map(({ entry }) => entry.event.id);
}

describe("an event that is sent to the edge again", () => {
  it("is accepted and stored once through both doors, after kill -9 and after it was delivered", async () => {
    expect(await post(eventOf("a"), eventOf("b"))).toEqual([200, { accepted: 2 }]);
    await publish(eventOf("c"));
    await killAgent();
    await startAgent();
    expect(await post(eventOf("b"), eventOf("d"), eventOf("d"))).toEqual([200, { accepted: 3 }]);
    await publish(eventOf("a"));
    await publish(eventOf("e"));
    expect(await storedIds()).toEqual(["a", "b", "c", "d", "e"]);
    await killAgent();
    await startAgent();
    expect(await post(...["a", "b", "c", "d", "e", "f"].map((id) => eventOf(id)))).toEqual([
      200,
      { accepted: 6 },
    ]);
    expect(await storedIds()).toEqual(["a", "b", "c", "d", "e", "f"]);
    const metrics = await (await fetch(`http://127.0.0.1:${ports.admin}/metrics`)).text();
    expect(metrics).toMatch(/fleetmesh_events_duplicate_total\{topic="test.repeats"\} 5\n/);
  });

  it("is refused with other content: 409 with its index, or a connection closed without PUBACK", async () => {
    await post(eventOf("a"));
    await killAgent();
    await startAgent();
    const [status, problem] = await post(eventOf("b"), eventOf("a", 2));
    expect([status, problem]).toMatchObject([409, { code: "MESH-5003", index: 1 }]);
    const client = await login();
    const closed = new Promise<void>((resolve) => client.once("close", () => resolve()));
    const acknowledged = client
      .publishAsync("events/test.repeats", JSON.stringify(eventOf("a", 3)), { qos: 1 })
      .then(() => "acknowledged");
    expect(await Promise.race([closed.then(() => "closed"), acknowledged])).toBe("closed");
    acknowledged.catch(() => undefined);
    client.end(true);
    expect(await storedIds()).toEqual(["a"]);
  });

  it("is stored once when many send it at the same time", async () => {
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, at) => post(eventOf("a"), eventOf(`own-${at}`))),
    );
    for (const answer of answers) expect(answer).toEqual([200, { accepted: 2 }]);
    const ids = await storedIds();
    expect(ids.filter((id) => id === "a")).toHaveLength(1);
    expect(new Set(ids).size).toBe(21);
    expect(ids).toHaveLength(21);
  });
});
