import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { PulsarConnection } from "@fleetmesh/pulsar";
import type { OpenLoadDoor } from "./open-load.ts";
import type { SinkProcess } from "./sink-process.ts";

const meshCommand = fileURLToPath(new URL("../../../cli/bin/mesh.mjs", import.meta.url));
const portBase = 19_700;
const linkMsMax = 120_000;

interface RegionUrls {
  readonly http: string;
  readonly mqtt: string;
}

interface ReadyLine {
  readonly token: string;
  readonly regions: Readonly<Record<string, RegionUrls>>;
  readonly pulsar: Readonly<Record<string, Omit<PulsarConnection, "client">>>;
}

interface LinkWish {
  readonly topic: string;
  readonly sink: SinkProcess;
}

/** `mesh dev --pulsar` as a user starts it: two regions, each with a real Pulsar, and the bridge between them. */
export class DevPulsarMesh {
  readonly #child: ChildProcess;
  readonly #directory: string;
  readonly #ready: ReadyLine;

  /** A text is the reason why there is none. */
  static async start(): Promise<DevPulsarMesh | string> {
    const directory = await mkdtemp(join(tmpdir(), "fleetmesh-bench-"));
    const place = ["--data-dir", directory, "--port-base", String(portBase), "--vehicles", "0"];
    const args = [meshCommand, "dev", ...place, "--headless", "--json", "--pulsar"];
    const child = spawn(process.execPath, args, {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, NODE_OPTIONS: "" },
    });
    let said = "";
    child.stderr.on("data", (chunk: Buffer) => (said = `${said}${chunk.toString()}`.slice(-2_000)));
    const line = once(createInterface({ input: child.stdout }), "line") as Promise<[string]>;
    const ended = once(child, "exit").then(() => undefined);
    const first = await Promise.race([line, ended]);
    if (first !== undefined)
      return new DevPulsarMesh(child, directory, JSON.parse(first[0]) as ReadyLine);
    await rm(directory, { recursive: true, force: true });
    return said.trim();
  }

  private constructor(child: ChildProcess, directory: string, ready: ReadyLine) {
    this.#child = child;
    this.#directory = directory;
    this.#ready = ready;
  }

  /** The MQTT door where events come in. */
  get east(): OpenLoadDoor {
    return {
      mqttPort: Number(new URL(this.#region("cn-east").mqtt).port),
      token: this.#ready.token,
    };
  }

  /** East's cluster and west's. */
  get pulsars(): PulsarConnection[] {
    return Object.values(this.#ready.pulsar).map((place) => ({ ...place, client: "binary" }));
  }

  /** Subscribes in west, and resolves when what is published in east comes to the sink. */
  async link({ topic, sink }: LinkWish): Promise<void> {
    const subscription = { id: "geo", topic, sink: sink.url, protocol: "HTTP" };
    const wish = { ...subscription, delivery: { windowMax: 32 } };
    await this.#post(`${this.#region("cn-west").http}/v1/subscriptions`, wish);
    const { reached } = await sink.expect(1);
    const there = new AbortController();
    void reached.then(() => there.abort());
    for (const startedMs = performance.now(); !there.signal.aborted;) {
      if (performance.now() - startedMs > linkMsMax) throw new Error("nothing came to cn-west");
      const probe = {
        specversion: "1.0",
        id: `probe-${performance.now()}`,
        source: "bench",
        type: "t",
      };
      await this.#post(`${this.#region("cn-east").http}/v1/topics/${topic}/events`, probe);
      await new Promise((resolve) => setTimeout(resolve, 1_000));
    }
    // The last probes.
    await new Promise((resolve) => setTimeout(resolve, 3_000));
  }

  async stop(): Promise<void> {
    const exited = once(this.#child, "exit");
    if (this.#child.exitCode === null && this.#child.kill("SIGTERM")) await exited;
    await rm(this.#directory, { recursive: true, force: true });
  }

  #region(name: string): RegionUrls {
    const urls = this.#ready.regions[name];
    if (urls === undefined) throw new Error(`no region ${name}`);
    return urls;
  }

  async #post(url: string, body: object): Promise<void> {
    const isEvent = "specversion" in body;
    const response = await fetch(url, {
      method: "POST",
      headers: {
        authorization: `Bearer ${this.#ready.token}`,
        "content-type": isEvent ? "application/cloudevents+json" : "application/json",
      },
      body: JSON.stringify(body),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`POST ${url}: ${response.status} ${text}`);
  }
}
