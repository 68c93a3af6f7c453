import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createLogger, systemChance, systemClock, type AgentAck, decodeAck } from "@fleetmesh/core";
import {
  createRuntime,
  runtimeConfigSchema,
  type Runtime,
  type RuntimeConfigInput,
} from "@fleetmesh/cloud-runtime";
import { createSigningKey, issueToken, type MeshClaim, type SigningKey } from "@fleetmesh/door";
import { connectAsync, type MqttClient } from "mqtt";

/** Everything a test may do; narrowed by what it passes. */
export const allowAll: MeshClaim = {
  publish: [">"],
  subscribe: [">"],
  operator: true,
  agent: "*",
  link: true,
};

/** What tests look at of an event that was read. */
export interface ReadEvent {
  readonly id: string;
  readonly meshorigin?: string;
}

type MqttTls = NonNullable<RuntimeConfigInput["mqtt"]>["tls"];

/** A real runtime on ports of its own in a folder of its own, with the key that signs its tokens. */
export class RuntimeHarness {
  readonly region: string;
  readonly key: SigningKey;
  readonly dir: string;
  readonly #overrides: Partial<RuntimeConfigInput>;
  readonly #mqttTls: MqttTls;
  #runtime: Runtime | undefined;
  #httpPort = 0;

  static async open(
    overrides: Partial<RuntimeConfigInput> = {},
    key?: SigningKey,
    mqttTls?: MqttTls,
  ): Promise<RuntimeHarness> {
    const dir = await mkdtemp(join(tmpdir(), "fleetmesh-runtime-"));
    const signing = key ?? (await createSigningKey("test"));
    const harness = new RuntimeHarness({ key: signing, dir, mqttTls }, overrides);
    await harness.start();
    return harness;
  }

  private constructor(
    { key, dir, mqttTls }: { key: SigningKey; dir: string; mqttTls: MqttTls },
    overrides: Partial<RuntimeConfigInput>,
  ) {
    this.#mqttTls = mqttTls;
    this.region = overrides.region ?? "cn-east";
    this.key = key;
    this.dir = dir;
    this.#overrides = overrides;
  }

  get runtime(): Runtime {
    if (this.#runtime === undefined) throw new Error("not running");
    return this.#runtime;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#httpPort}`;
  }

  /** Again on the same folder and the same HTTP port. */
  async start(): Promise<void> {
    const config = runtimeConfigSchema.parse({
      region: this.region,
      dataDir: this.dir,
      auth: { jwks: { keys: [this.key.publicKey] } },
      autoCreateTopics: true,
      allowPrivateSinks: true,
      processMetrics: false,
      ...this.#overrides,
      http: { port: this.#httpPort },
      mqtt: { port: 0, ...(this.#mqttTls && { tls: this.#mqttTls }) },
    });
    const logger = createLogger({ part: this.region, level: "silent" });
    const ports = { clock: systemClock, chance: systemChance, logger };
    this.#runtime = await createRuntime(config, ports);
    await this.#runtime.start();
    this.#httpPort = this.#runtime.httpPort;
  }

  async stop(): Promise<void> {
    await this.#runtime?.stop(AbortSignal.timeout(5_000));
    this.#runtime = undefined;
  }

  async close(): Promise<void> {
    await this.stop();
    await rm(this.dir, { recursive: true, force: true });
  }

  token(mesh: MeshClaim = allowAll, name = "tester"): Promise<string> {
    return issueToken(this.key, { sub: name, jti: `${name}-${JSON.stringify(mesh)}`, mesh });
  }

  async request(path: string, init: RequestInit = {}, mesh?: MeshClaim): Promise<Response> {
    const headers = new Headers(init.headers);
    headers.set("authorization", `Bearer ${await this.token(mesh)}`);
    return fetch(`${this.url}${path}`, { ...init, headers });
  }

  /** Publishes structured events; each is a full CloudEvent as JSON text. */
  async publish(topic: string, ...texts: string[]): Promise<Response> {
    return this.request(`/v1/topics/${topic}/events`, {
      method: "POST",
      headers: { "content-type": "application/cloudevents-batch+json" },
      body: `[${texts.join(",")}]`,
    });
  }

  async ids(topic: string): Promise<string[]> {
    return (await this.events(topic)).map(({ id }) => id);
  }

  async events(topic: string): Promise<ReadEvent[]> {
    const found: ReadEvent[] = [];
    for (let after = "earliest"; ;) {
      const path = `/v1/topics/${topic}/events?after=${after}&limit=1000`;
      const response = await this.request(path);
      if (response.status === 404) return [];
      const page = (await response.json()) as { events: ReadEvent[]; next: string };
      if (page.events.length === 0) return found;
      found.push(...page.events);
      after = page.next;
    }
  }

  async connectAgent(agentId: string, mesh: MeshClaim = allowAll): Promise<AgentSimulation> {
    const password = await this.token(mesh, agentId);
    const client = await connectAsync(`mqtt://127.0.0.1:${this.runtime.mqttPort}`, {
      clientId: agentId,
      username: agentId,
      password,
      reconnectPeriod: 0,
      protocolVersion: 4,
    });
    const agent = new AgentSimulation(agentId, client);
    await client.subscribeAsync(`acks/${agentId}`, { qos: 1 });
    return agent;
  }
}

/** The bare protocol of an agent over a real MQTT client. */
export class AgentSimulation {
  readonly agentId: string;
  readonly client: MqttClient;
  readonly acks: AgentAck[] = [];
  isClosed = false;

  constructor(agentId: string, client: MqttClient) {
    this.agentId = agentId;
    this.client = client;
    client.setMaxListeners(0);
    client.on("message", (_topic, payload) => this.acks.push(decodeAck(payload)));
    client.on("error", () => undefined);
    client.on("close", () => (this.isClosed = true));
  }

  /** Resolves at the PUBACK; rejects when the connection closed first. */
  async send(payload: Uint8Array, topic = `batches/${this.agentId}`): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const onClose = (): void => reject(new Error("closed before the PUBACK"));
      this.client.once("close", onClose);
      this.client.publish(topic, Buffer.from(payload), { qos: 1 }, (error) => {
        this.client.off("close", onClose);
        if (error) reject(error);
        else resolve();
      });
    });
  }

  async end(): Promise<void> {
    await this.client.endAsync(true);
  }
}

export function eventText(id: string, fields: Record<string, unknown> = {}): string {
  return JSON.stringify({ specversion: "1.0", id, source: "/test", type: "t", ...fields });
}
