import { randomBytes } from "node:crypto";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePorts } from "./free-ports.ts";
import {
  pulsarArgs,
  pulsarLastWords,
  pulsarOutput,
  writePulsarConfig,
  type PulsarPorts,
  type PulsarSettings,
} from "../../cli/src/dev/pulsar/pulsar-command.ts";
import { ServerProcess } from "../../cli/src/dev/pulsar/server-process.ts";
import { signToken, type TokenWish } from "./pulsar-token.ts";

export interface PulsarServerOptions {
  /** The cluster's name. */
  readonly name: string;
  /** Token authentication and authorisation; the role `admin` may do everything. */
  readonly hasAuth?: boolean;
  /** Over those of a small standalone, in the words of standalone.conf. */
  readonly settings?: PulsarSettings;
  /** Of its log; as much is kept of what was before. */
  readonly logBytesMax?: number;
  /** An empty folder that the caller removes; without it a temporary one, removed by `close`. */
  readonly dir?: string;
}

/** What a client needs; plain values, so that it can be handed to another process. */
export interface PulsarAddress {
  readonly cluster: string;
  /** pulsar://127.0.0.1:port */
  readonly brokerUrl: string;
  /** http://127.0.0.1:port */
  readonly webUrl: string;
  /** ws://127.0.0.1:port/ws/v2 */
  readonly wsUrl: string;
  /** Of the role `admin`; only with authentication. */
  readonly token?: string;
}

export interface AdminAnswer {
  readonly status: number;
  readonly text: string;
}

const readyMsMax = 150_000;

/**
 * A real Pulsar in a process of its own: broker, bookie, metadata and WebSocket API, on loopback and free ports. It keeps ports
 * and data over every end and restart. Never outlives this process.
 */
export class PulsarServer implements PulsarAddress {
  readonly cluster: string;
  readonly brokerUrl: string;
  readonly webUrl: string;
  readonly wsUrl: string;
  readonly token?: string;
  readonly dir: string;
  readonly #ports: PulsarPorts;
  readonly #secret: Buffer;
  readonly #isDirOurs: boolean;
  #process: ServerProcess | undefined;

  /** Resolves when it is healthy. */
  static async start(options: PulsarServerOptions): Promise<PulsarServer> {
    const dir = options.dir ?? (await mkdtemp(join(tmpdir(), `fleetmesh-pulsar-${options.name}-`)));
    await mkdir(dir, { recursive: true });
    const [broker = 0, web = 0, bookie = 0] = await freePorts(3);
    const server = new PulsarServer(options, dir, { broker, web, bookie });
    await server.#configure(options);
    try {
      await server.restart();
    } catch (error) {
      await server.close();
      throw error;
    }
    return server;
  }

  private constructor(options: PulsarServerOptions, dir: string, ports: PulsarPorts) {
    this.cluster = options.name;
    this.dir = dir;
    this.brokerUrl = `pulsar://127.0.0.1:${ports.broker}`;
    this.webUrl = `http://127.0.0.1:${ports.web}`;
    this.wsUrl = `ws://127.0.0.1:${ports.web}/ws/v2`;
    this.#ports = ports;
    this.#secret = randomBytes(32);
    this.#isDirOurs = options.dir === undefined;
    if (options.hasAuth === true) this.token = this.tokenFor({ role: "admin" });
  }

  get pid(): number | undefined {
    return this.#process?.pid;
  }

  get address(): PulsarAddress {
    const { cluster, brokerUrl, webUrl, wsUrl, token } = this;
    return { cluster, brokerUrl, webUrl, wsUrl, ...(token === undefined ? {} : { token }) };
  }

  /** Only a server with authentication looks at it. */
  tokenFor(wish: TokenWish): string {
    return signToken(this.#secret, wish);
  }

  /** Starts it on its data and ports, ended properly first if it runs. Resolves when it is healthy. */
  async restart(): Promise<void> {
    await this.stop();
    await mkdir(this.dir, { recursive: true });
    this.#process = await ServerProcess.start({
      command: "java",
      args: pulsarArgs(this.dir, this.#ports),
      cwd: this.dir,
      logFile: join(this.dir, pulsarOutput),
    });
    await this.whenHealthy();
  }

  /** SIGTERM, and gone. */
  async stop(): Promise<void> {
    await this.#process?.end("SIGTERM");
    this.#process = undefined;
  }

  /** SIGKILL, and gone. */
  async kill(): Promise<void> {
    await this.#process?.end("SIGKILL");
    this.#process = undefined;
  }

  /** Stands still: connections stay open and nothing answers. */
  freeze(): void {
    this.#process?.signal("SIGSTOP");
  }

  resume(): void {
    this.#process?.signal("SIGCONT");
  }

  /** Ends it and removes its folder. A frozen one too. */
  async close(): Promise<void> {
    await this.kill();
    if (this.#isDirOurs && process.env["KEEP_DIR"] === undefined)
      await rm(this.dir, { recursive: true, force: true });
  }

  /** Rejects, with the end of its log, when it died or is not healthy in time. */
  async whenHealthy(): Promise<void> {
    const deadline = performance.now() + readyMsMax;
    while (!(await this.#isHealthy())) {
      if (this.#process?.isAlive !== true) throw new Error(`Pulsar ended\n${await this.log()}`);
      if (performance.now() > deadline) throw new Error(`Pulsar not ready\n${await this.log()}`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  async #isHealthy(): Promise<boolean> {
    // Another process could listen there: only the right body, and our process alive, is an answer.
    const answer = await adminCall(this, "GET", "brokers/health").catch(() => undefined);
    if (answer?.text !== "ok") return false;
    // A standalone records its own cluster only then, and refuses tenants of it before.
    const known = await adminCall(this, "GET", `clusters/${this.cluster}`).catch(() => undefined);
    return known?.status === 200 && this.#process?.isAlive === true;
  }

  /** The end of its log. */
  log(characters = 4_000): Promise<string> {
    return pulsarLastWords(this.dir, characters);
  }

  async #configure({ hasAuth, name, settings, logBytesMax }: PulsarServerOptions): Promise<void> {
    const auth = hasAuth === true ? await this.#authSettings() : {};
    const given = { dir: this.dir, name, ports: this.#ports, logBytesMax };
    await writePulsarConfig({ ...given, settings: { ...auth, ...settings } });
  }

  async #authSettings(): Promise<PulsarSettings> {
    const secretFile = join(this.dir, "secret.key");
    await writeFile(secretFile, this.#secret);
    return {
      authenticationEnabled: true,
      authorizationEnabled: true,
      superUserRoles: "admin",
      authenticationProviders:
        "org.apache.pulsar.broker.authentication.AuthenticationProviderToken",
      tokenSecretKey: `file://${secretFile}`,
      brokerClientAuthenticationPlugin: "org.apache.pulsar.client.impl.auth.AuthenticationToken",
      brokerClientAuthenticationParameters: JSON.stringify({ token: this.token }),
    };
  }
}

/** One call of the admin REST interface; `path` is below /admin/v2. Never throws on a status. */
export async function adminCall(
  { webUrl, token }: Pick<PulsarAddress, "webUrl" | "token">,
  method: "GET" | "PUT" | "POST" | "DELETE",
  request: string | { readonly path: string; readonly body: unknown },
): Promise<AdminAnswer> {
  const { path, body } = typeof request === "string" ? { path: request, body: undefined } : request;
  const response = await fetch(`${webUrl}/admin/v2/${path}`, {
    method,
    headers: {
      "content-type": "application/json",
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    signal: AbortSignal.timeout(30_000),
  });
  return { status: response.status, text: await response.text() };
}
