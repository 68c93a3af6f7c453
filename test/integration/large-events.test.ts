import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { request, type IncomingMessage } from "node:http";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connectAsync } from "mqtt";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { bridgeConfigSchema, createBridge, type Bridge } from "@fleetmesh/bridge";
import { createLogger, systemChance, systemClock } from "@fleetmesh/core";
import { createSigningKey } from "@fleetmesh/door";
import { createEdgeAgent, edgeAgentConfigSchema, type EdgeAgent } from "@fleetmesh/edge-agent";
import { DeliverySink } from "./delivery-sink.ts";
import { mesh } from "./mesh-cli.ts";
import { allowAll, eventText, RuntimeHarness } from "./runtime-harness.ts";

const ports = {
  clock: systemClock,
  chance: systemChance,
  logger: createLogger({ part: "test", level: "silent" }),
};
const tenMegabytes = 10_000_000;
const raised = 12 * 1024 * 1024;
const topic = "vehicle.pictures";
const path = `/v1/topics/${topic}/events`;
const waiting = { timeout: 60_000, interval: 20 };

/** A region, a sink that it pushes to, and an edge agent with every door. */
class Path {
  readonly dir: string;
  readonly region: RuntimeHarness;
  readonly edge: EdgeAgent;
  readonly token: string;

  static async open(maxEventBytes?: number): Promise<Path> {
    const dir = await mkdtemp(join(tmpdir(), "fleetmesh-large-"));
    const own = maxEventBytes === undefined ? {} : { maxEventBytes };
    const key = await createSigningKey("mesh");
    const region = await RuntimeHarness.open({ limits: own }, key);
    const config = edgeAgentConfigSchema.parse({
      ...own,
      agentId: "vehicle-1",
      dataDir: dir,
      doors: { http: { port: 0 }, unix: { path: join(dir, "door") }, mqtt: { port: 0 } },
      auth: { jwks: { keys: [key.publicKey] } },
      uplink: {
        url: `mqtt://127.0.0.1:${region.runtime.mqttPort}`,
        token: await region.token(allowAll, "vehicle-1"),
      },
    });
    const edge = createEdgeAgent(config, ports);
    await edge.start();
    return new Path({ dir, region, edge, token: await region.token() });
  }

  private constructor(given: Pick<Path, "dir" | "region" | "edge" | "token">) {
    this.dir = given.dir;
    this.region = given.region;
    this.edge = given.edge;
    this.token = given.token;
  }

  /** Where a door listens, as node:http wants it. */
  door(name: string): { readonly port: number } | { readonly socketPath: string } {
    if (name === "edge unix") return { socketPath: join(this.dir, "door") };
    const port = name === "edge http" ? this.edge.ports.http : this.region.runtime.httpPort;
    return { port };
  }

  mqttPort(name: string): number {
    return name === "edge" ? this.edge.ports.mqtt : this.region.runtime.mqttPort;
  }

  async close(): Promise<void> {
    await this.edge.stop(AbortSignal.timeout(5_000));
    await this.region.close();
    await rm(this.dir, { recursive: true, force: true });
  }
}

interface Body {
  readonly headers: Readonly<Record<string, string>>;
  readonly bytes: Buffer;
}

function bodyOf(mode: string, id: string, data: Buffer): Body {
  const event = { specversion: "1.0", id, source: "/test", type: "t" };
  if (mode === "binary") {
    const attributes = Object.entries(event).map(([name, value]) => [`ce-${name}`, value]);
    const headers = {
      ...(Object.fromEntries(attributes) as Record<string, string>),
      "content-type": "image/raw",
    };
    return { headers, bytes: data };
  }
  const text = JSON.stringify({
    ...event,
    datacontenttype: "image/raw",
    data_base64: data.toString("base64"),
  });
  return mode === "structured"
    ? { headers: { "content-type": "application/cloudevents+json" }, bytes: Buffer.from(text) }
    : {
        headers: { "content-type": "application/cloudevents-batch+json" },
        bytes: Buffer.from(`[${text}]`),
      };
}

type Door = ReturnType<Path["door"]>;

interface Answer {
  readonly status: number;
  readonly text: string;
}

function post(door: Door, token: string, { headers, bytes }: Body): Promise<Answer> {
  const all = { ...headers, authorization: `Bearer ${token}`, connection: "close" };
  return new Promise((resolve, reject) => {
    const sent = request({ ...door, path, method: "POST", headers: all }, (answer) => {
      textOf(answer).then((text) => resolve({ status: answer.statusCode ?? 0, text }), reject);
    });
    sent.on("error", reject);
    sent.end(bytes);
  });
}

/** Requests on one connection, each whole, one behind the other: a client of node:http gives up the connection of an early answer. */
async function converse(door: Door, requests: readonly Buffer[]): Promise<string> {
  const socket = "port" in door ? connect(door.port, "127.0.0.1") : connect(door.socketPath);
  socket.setEncoding("utf8");
  let heard = "";
  socket.on("data", (text: string) => (heard += text));
  for (const [at, bytes] of requests.entries()) {
    socket.write(bytes);
    await vi.waitFor(() => expect(heard.split("HTTP/1.1 ")).toHaveLength(at + 2), waiting);
  }
  socket.destroy();
  return heard;
}

function raw(token: string, { headers, bytes }: Body, isDeclared: boolean): Buffer {
  const length = isDeclared
    ? { "content-length": String(bytes.length) }
    : { "transfer-encoding": "chunked" };
  const all = { host: "localhost", authorization: `Bearer ${token}`, ...headers, ...length };
  const lines = Object.entries(all).map((pair) => pair.join(": "));
  const head = Buffer.from(`POST ${path} HTTP/1.1\r\n${lines.join("\r\n")}\r\n\r\n`);
  if (isDeclared) return Buffer.concat([head, bytes]);
  const size = Buffer.from(`${bytes.length.toString(16)}\r\n`);
  return Buffer.concat([head, size, bytes, Buffer.from("\r\n0\r\n\r\n")]);
}

async function textOf(answer: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of answer) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}

const doors = ["edge http", "edge unix", "region http"];
const modes = ["binary", "structured", "batch"];
const small = Buffer.from("small");

describe("an event of 10 MB where 256 KiB are allowed", () => {
  let way: Path;
  beforeAll(async () => (way = await Path.open()));
  afterAll(() => way.close());

  it.each(doors.flatMap((door) => modes.map((mode) => [door, mode] as const)))(
    "is refused with 413 at the %s door in %s mode, and the next one on that connection is taken",
    async (name, mode) => {
      const large = bodyOf(mode, "large", randomBytes(tenMegabytes));
      const code = mode === "batch" ? "MESH-1008" : "MESH-1002";
      for (const isDeclared of [true, false]) {
        const next = bodyOf(mode, `next ${name} ${mode} ${isDeclared}`, small);
        const heard = await converse(way.door(name), [
          raw(way.token, large, isDeclared),
          raw(way.token, next, true),
        ]);
        expect(heard).toMatch(/^HTTP\/1.1 413 /);
        expect(heard).toContain(code);
        expect(heard).toMatch(/HTTP\/1.1 200 [^]*\{"accepted":1\}$/);
      }
    },
  );

  it.each(doors)("is refused at the %s door before its body is sent", async (door) => {
    const where = way.door(door);
    const socket = "port" in where ? connect(where.port, "127.0.0.1") : connect(where.socketPath);
    const whole = raw(way.token, bodyOf("binary", "large", Buffer.alloc(tenMegabytes)), true);
    socket.write(whole.subarray(0, whole.length - tenMegabytes));
    const [answer] = await new Promise<Buffer[]>((resolve) =>
      socket.once("data", (data: Buffer) => resolve([data])),
    );
    expect(answer?.toString()).toMatch(/^HTTP\/1.1 413 /);
    socket.destroy();
  });

  it.each([
    ["edge", tenMegabytes],
    ["region", tenMegabytes],
    ["region", 1_000_000],
  ] as const)(
    "closes the connection at the MQTT door of the %s (%d bytes), without an acknowledgement, and the next one is taken",
    async (name, byteCount) => {
      const open = () =>
        connectAsync(`mqtt://127.0.0.1:${way.mqttPort(name)}`, {
          ...{ username: "tester", password: way.token, clientId: `pictures-${byteCount}` },
          ...{ protocolVersion: 4, reconnectPeriod: 0 },
        });
      const client = await open();
      const { bytes } = bodyOf("structured", "large", randomBytes(byteCount));
      const closed = new Promise((resolve) => client.once("close", () => resolve("closed")));
      client.on("error", () => undefined);
      const acknowledged = client
        .publishAsync(`events/${topic}`, bytes, { qos: 1 })
        .then(() => "acknowledged")
        .catch(() => "closed");
      expect(await Promise.race([closed, acknowledged])).toBe("closed");
      client.end(true);
      const next = await open();
      const event = bodyOf("structured", `next ${name} ${byteCount}`, small);
      await next.publishAsync(`events/${topic}`, event.bytes, { qos: 1 });
      await next.endAsync();
    },
  );

  it("ends mesh publish --jsonl with the reason, after the lines before it were taken", async () => {
    const env = { MESH_URL: way.region.url, MESH_TOKEN: way.token };
    const lines = [`{"n":1}`, `"${"x".repeat(tenMegabytes)}"`, `{"n":2}`];
    const args = ["publish", "jsonl.large", "--jsonl"];
    const refused = await mesh(args, { cwd: way.dir, env, input: lines.join("\n") });
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain("MESH-1008");
    expect(await way.region.ids("jsonl.large")).toHaveLength(1);
  });

  it("lets mesh publish --jsonl send what is larger in all than one request may be", async () => {
    const env = { MESH_URL: way.region.url, MESH_TOKEN: way.token };
    const lines = Array.from({ length: 100 }, (_, at) => `"${at} ${"x".repeat(100_000)}"`);
    const args = ["publish", "jsonl.many", "--jsonl"];
    const taken = await mesh(args, { cwd: way.dir, env, input: lines.join("\n") });
    expect(taken.stderr).toBe("");
    expect(await way.region.ids("jsonl.many")).toHaveLength(100);
  });

  it("leaves nothing of what was refused behind", async () => {
    const ids = async (): Promise<string[]> => way.region.ids(topic);
    await vi.waitFor(async () => expect(await ids()).toHaveLength(21), waiting);
    expect(await ids()).not.toContain("large");
  });
});

describe("an event of 10 MB where the operator allows 12 MiB", () => {
  let way: Path;
  let west: RuntimeHarness;
  let sink: DeliverySink;
  let bridge: Bridge;

  beforeAll(async () => {
    way = await Path.open(raised);
    west = await RuntimeHarness.open(
      { region: "cn-west", limits: { maxEventBytes: raised } },
      way.region.key,
    );
    sink = await new DeliverySink().start();
    const regions = [way.region, west].map(async (end) => ({
      ...{ name: end.region, url: end.url, token: await end.token() },
    }));
    const config = { regions: await Promise.all(regions), topics: [{ topic, to: ["cn-west"] }] };
    bridge = createBridge(bridgeConfigSchema.parse(config), ports);
    await bridge.start();
    const created = await way.region.request("/v1/subscriptions", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ id: "all", topic, sink: sink.url, protocol: "HTTP" }),
    });
    expect(created.status).toBe(201);
  });

  afterAll(async () => {
    await bridge.stop();
    await sink.stop();
    await west.close();
    await way.close();
  });

  async function pushed(id: string): Promise<string> {
    return vi.waitFor(() => {
      const found = sink.received.find((one) => one.id === id);
      expect(found).toBeDefined();
      return found?.body ?? "";
    }, waiting);
  }

  it.each([
    ["edge http", "binary"],
    ["edge http", "batch"],
    ["edge unix", "structured"],
    ["region http", "binary"],
    ["region http", "structured"],
    ["region http", "batch"],
  ])("goes from the %s door in %s mode to the subscriber, byte for byte", async (door, mode) => {
    const data = randomBytes(tenMegabytes);
    const id = `${door} ${mode}`;
    const answer = await post(way.door(door), way.token, bodyOf(mode, id, data));
    expect(answer).toEqual({ status: 200, text: '{"accepted":1}' });
    const { data_base64: got } = JSON.parse(await pushed(id)) as { data_base64: string };
    expect(Buffer.from(got, "base64").equals(data)).toBe(true);
  });

  it.each(["edge", "region"])(
    "goes from the MQTT door of the %s to the subscriber, JSON as it was spelled",
    async (name) => {
      const client = await connectAsync(`mqtt://127.0.0.1:${way.mqttPort(name)}`, {
        ...{ username: "tester", password: way.token, protocolVersion: 4, reconnectPeriod: 0 },
      });
      const rows = Array.from({ length: 250_000 }, (_, at) => `{"b": ${at}.50, "a":"${at} é"}`);
      const data = `[${rows.join(" , ")}]`.padEnd(tenMegabytes, " ");
      const text = eventText(`mqtt ${name}`).replace(/\}$/, `,"data":${data.trim()}}`);
      await client.publishAsync(`events/${topic}`, text, { qos: 1 });
      await client.endAsync();
      expect((await pushed(`mqtt ${name}`)).includes(`"data":${data.trim()}`)).toBe(true);
    },
  );

  it("reaches the other region", async () => {
    await vi.waitFor(async () => {
      const ledger: unknown = await (await west.request("/v1/ledger")).json();
      const replicated = sink.received.length;
      expect(ledger).toMatchObject({ difference: 0, topics: [{ topic, replicated }] });
    }, waiting);
  });
});
