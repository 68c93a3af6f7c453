import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { RuntimeConfigInput } from "@fleetmesh/cloud-runtime";
import { createSigningKey, issueToken } from "@fleetmesh/door";
import { freePort } from "./edge-process.ts";
import { cpuMicrosOf } from "./process-usage.ts";

const meshCommand = fileURLToPath(new URL("../../../cli/bin/mesh.mjs", import.meta.url));
const everything = { publish: [">"], subscribe: [">"], operator: true, agent: "*" };

export interface PushSubscription {
  readonly id: string;
  readonly topic: string;
  readonly sink: string;
  readonly start: "latest" | "earliest";
  readonly windowMax: number;
  /** Of Standard Webhooks; not signed without one. */
  readonly secret?: string | undefined;
}

/** A region as it runs in a data centre: a process of its own with its store in a folder on the disk. */
export class RegionProcess {
  readonly token: string;
  readonly mqttPort: number;
  readonly #directory: string;
  readonly #url: string;
  #child: ChildProcess | undefined;

  private constructor(
    directory: string,
    token: string,
    ports: { readonly http: number; readonly mqtt: number },
  ) {
    this.#directory = directory;
    this.token = token;
    this.mqttPort = ports.mqtt;
    this.#url = `http://127.0.0.1:${ports.http}`;
  }

  /** With its store in a folder, or where it is told. Resolves when it is ready. */
  static async start(store?: RuntimeConfigInput["store"]): Promise<RegionProcess> {
    const directory = await mkdtemp(join(tmpdir(), "fleetmesh-bench-"));
    const key = await createSigningKey("bench");
    const token = await issueToken(key, { sub: "bench", jti: "1", mesh: everything });
    const ports = { http: await freePort(), mqtt: await freePort() };
    const config: RuntimeConfigInput = {
      region: "bench",
      dataDir: join(directory, "data"),
      http: { port: ports.http },
      mqtt: { port: ports.mqtt },
      auth: { jwks: { keys: [key.publicKey as Record<string, unknown> & { kty: string }] } },
      ...(store === undefined ? {} : { store }),
      autoCreateTopics: true,
      allowPrivateSinks: true,
    };
    const region = new RegionProcess(directory, token, ports);
    await writeFile(join(directory, "runtime.yaml"), JSON.stringify(config));
    await region.#spawn();
    await region.#whenReady();
    return region;
  }

  cpuMicros(): number {
    return cpuMicrosOf(this.#child?.pid ?? 0);
  }

  async subscribe({ windowMax, secret, ...subscription }: PushSubscription): Promise<void> {
    const signing = secret === undefined ? {} : { signing: { secret } };
    const body = { ...subscription, protocol: "HTTP", delivery: { windowMax, ...signing } };
    await this.#call("POST", "/v1/subscriptions", body);
  }

  async unsubscribe(id: string): Promise<void> {
    await this.#call("DELETE", `/v1/subscriptions/${id}`);
  }

  async stop(): Promise<void> {
    const child = this.#child;
    if (child !== undefined && child.exitCode === null && child.signalCode === null) {
      const exited = once(child, "exit");
      child.kill("SIGTERM");
      await exited;
    }
    await rm(this.#directory, { recursive: true, force: true });
  }

  /** A store elsewhere may open later than the doors. */
  async #whenReady(): Promise<void> {
    while (!(await fetch(`${this.#url}/readyz`)).ok)
      await new Promise((resolve) => setTimeout(resolve, 50));
  }

  async #call(method: string, path: string, body?: unknown): Promise<void> {
    const response = await fetch(this.#url + path, {
      method,
      headers: {
        authorization: `Bearer ${this.token}`,
        ...(body === undefined ? {} : { "content-type": "application/json" }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
  }

  async #spawn(): Promise<void> {
    const options = (process.env["BENCH_REGION_NODE_OPTIONS"] ?? "").split(" ").filter(Boolean);
    const file = join(this.#directory, "runtime.yaml");
    const command = [...options, meshCommand, "run", "runtime", "--config", file];
    const child = spawn(process.execPath, [...command, "--log-level", "error"], {
      stdio: ["ignore", "pipe", "inherit"],
      // Not the conditions under which the bench itself may run.
      env: { ...process.env, NODE_OPTIONS: "" },
    });
    this.#child = child;
    await once(createInterface({ input: child.stdout }), "line");
    child.stdout.resume();
  }
}
