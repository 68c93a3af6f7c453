import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { createSigningKey, issueToken } from "@fleetmesh/door";
import type { AgentStatus, EdgeAgentConfigInput } from "@fleetmesh/edge-agent";
import { cpuMicrosOf, residentMegabytesOf } from "./process-usage.ts";

export const agentId = "vehicle-5f1c9b3a7d20";
const meshCommand = fileURLToPath(new URL("../../../cli/bin/mesh.mjs", import.meta.url));

/** An edge agent as it runs on a gateway: a process of its own, its buffer in a folder on the disk, HTTP and MQTT doors. */
export class EdgeProcess {
  readonly token: string;
  readonly httpPort: number;
  readonly mqttPort: number;
  readonly #directory: string;
  readonly #adminPort: number;
  #child: ChildProcess | undefined;

  private constructor(directory: string, token: string, ports: Ports) {
    this.#directory = directory;
    this.token = token;
    this.httpPort = ports.http;
    this.mqttPort = ports.mqtt;
    this.#adminPort = ports.admin;
  }

  /** Its region is expected at the port. */
  static async start(regionPort: number, uplinkToken = "bench"): Promise<EdgeProcess> {
    const directory = await mkdtemp(join(tmpdir(), "fleetmesh-bench-"));
    const key = await createSigningKey("bench");
    const mesh = { publish: [">"] };
    const token = await issueToken(key, { sub: "bench", jti: "1", mesh });
    const ports = { http: await freePort(), mqtt: await freePort(), admin: await freePort() };
    const config: EdgeAgentConfigInput = {
      agentId,
      dataDir: join(directory, "data"),
      auth: { jwks: { keys: [key.publicKey as Record<string, unknown> & { kty: string }] } },
      doors: { http: { port: ports.http }, mqtt: { port: ports.mqtt } },
      admin: { port: ports.admin },
      classes: [{ topic: "vehicle.alarm", class: "critical" }],
      uplink: {
        url: `mqtt://127.0.0.1:${regionPort}`,
        token: uplinkToken,
        reconnect: { initialMs: 100, maxMs: 200 },
      },
    };
    const edge = new EdgeProcess(directory, token, ports);
    await writeFile(edge.#configFile, JSON.stringify(config));
    try {
      await edge.#spawn();
    } catch (error) {
      await edge.stop();
      throw error;
    }
    return edge;
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  cpuMicros(): number {
    return cpuMicrosOf(this.pid);
  }

  residentMegabytes(): number {
    return residentMegabytesOf(this.pid);
  }

  async status(): Promise<AgentStatus> {
    const response = await fetch(`http://127.0.0.1:${this.#adminPort}/status.json`);
    return (await response.json()) as AgentStatus;
  }

  /** The process ends at once, as in a crash. */
  kill(): Promise<void> {
    return this.#end("SIGKILL");
  }

  /** On the same folder and ports. Resolves when the agent says that it is ready. */
  startAgain(): Promise<void> {
    return this.#spawn();
  }

  async stop(): Promise<void> {
    await this.#end("SIGTERM");
    await rm(this.#directory, { recursive: true, force: true });
  }

  get #configFile(): string {
    return join(this.#directory, "edge.yaml");
  }

  async #spawn(): Promise<void> {
    const options = (process.env["BENCH_EDGE_NODE_OPTIONS"] ?? "").split(" ").filter(Boolean);
    const command = [...options, meshCommand, "run", "edge", "--config", this.#configFile];
    const child = spawn(process.execPath, [...command, "--log-level", "error"], {
      stdio: ["ignore", "pipe", "inherit"],
      // Not the conditions under which the bench itself may run.
      env: { ...process.env, NODE_OPTIONS: "" },
    });
    this.#child = child;
    const ended = once(child, "exit").then(([code]) => {
      throw new Error(`the agent ended with exit code ${String(code)} before it was ready`);
    });
    ended.catch(() => undefined); // Its end later on is no fault.
    await Promise.race([once(createInterface({ input: child.stdout }), "line"), ended]);
    child.stdout.resume();
  }

  async #end(signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, "exit");
    child.kill(signal);
    await exited;
  }
}

interface Ports {
  readonly http: number;
  readonly mqtt: number;
  readonly admin: number;
}

/**
 * A port that nothing listens on. Below the range from which systems give ports to outgoing connections: another process
 * must not be given it before the agent opens it.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = 15_000 + Math.floor(15_000 * Math.random());
    const server = createServer();
    try {
      server.listen(port, "127.0.0.1");
      await once(server, "listening");
    } catch {
      continue;
    }
    server.close();
    await once(server, "close");
    return port;
  }
}
