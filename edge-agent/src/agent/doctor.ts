import { lookup } from "node:dns/promises";
import { constants } from "node:fs";
import { access, mkdir, open, rm, statfs } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { MeshError, type Clock, type Logger } from "@fleetmesh/core";
import { MqttLink } from "../uplink/mqtt-link.ts";
import { plausibleSinceMs } from "../uplink/cloud-time.ts";
import { readKeySet, readTls, readToken } from "./agent-files.ts";
import type { EdgeAgentConfig } from "./edge-agent-config.ts";

export interface DoctorResult {
  readonly check: string;
  readonly ok: boolean;
  /** What was found. */
  readonly found: string;
  /** What to do, when it is not ok. */
  readonly advice: string;
}

export interface DoctorPorts {
  readonly clock: Clock;
  readonly logger: Logger;
  /** The agent of this configuration runs now: its ports are taken by itself, and its name is in use at the broker. */
  readonly isRunning: boolean;
}

const fsyncRounds = 20;
const fsyncSlowMs = 50;
const tokenSoonMs = 7 * 24 * 3_600_000;

/** Looks at all that an agent needs. Never throws: what fails is a result. */
export async function examineEdge(
  config: EdgeAgentConfig,
  ports: DoctorPorts,
): Promise<DoctorResult[]> {
  const checks: Readonly<Record<string, () => Promise<DoctorResult>>> = {
    clock: () => Promise.resolve(checkClock(ports.clock)),
    disk: () => checkDisk(config),
    fsync: () => checkFsync(config, ports.clock),
    keys: () => Promise.resolve(checkKeys(config)),
    ports: () => checkPorts(config, ports.isRunning),
    dns: () => checkName(config),
    token: () => Promise.resolve(checkToken(config, ports.clock)),
    broker: () => checkBroker(config, ports),
  };
  const results: DoctorResult[] = [];
  for (const [check, run] of Object.entries(checks)) {
    results.push(
      await run().catch((error: unknown) => {
        const { message, hint } = MeshError.from(error);
        return { check, ok: false, found: message, advice: hint };
      }),
    );
  }
  return results;
}

function checkClock(clock: Clock): DoctorResult {
  const wallMs = clock.wallMs();
  const ok = wallMs >= plausibleSinceMs;
  const advice = ok
    ? ""
    : "Set the clock, e.g. by NTP. Until the region has told the time, nothing expires and tokens may be refused.";
  return { check: "clock", ok, found: new Date(wallMs).toISOString(), advice };
}

async function checkDisk({ dataDir, buffer }: EdgeAgentConfig): Promise<DoctorResult> {
  await mkdir(dataDir, { recursive: true });
  await access(dataDir, constants.W_OK);
  const { bavail, bsize } = await statfs(dataDir);
  const free = bavail * bsize;
  const ok = free >= buffer.bytesMax;
  const found = `${mebibytes(free)} free in ${dataDir}; the buffer may take ${mebibytes(buffer.bytesMax)}`;
  return {
    check: "disk",
    ok,
    found,
    advice: ok ? "" : "Free the disk, or lower buffer.bytesMax: a full disk refuses new events.",
  };
}

async function checkFsync({ dataDir }: EdgeAgentConfig, clock: Clock): Promise<DoctorResult> {
  const path = join(dataDir, ".doctor");
  const file = await open(path, "w");
  try {
    const times: number[] = [];
    for (let round = 0; round < fsyncRounds; round += 1) {
      const startMs = clock.monotonicMs();
      await file.write(Buffer.alloc(4_096), 0, 4_096, 0);
      await file.sync();
      times.push(clock.monotonicMs() - startMs);
    }
    times.sort((left, right) => left - right);
    const median = times[fsyncRounds / 2] ?? 0;
    const ok = median <= fsyncSlowMs;
    const advice = ok
      ? ""
      : "The disk is slow to make writes durable: every door waits for it. Use another disk, or send batches.";
    const found = `median ${median.toFixed(2)} ms, longest ${(times.at(-1) ?? 0).toFixed(2)} ms`;
    return { check: "fsync", ok, found, advice };
  } finally {
    await file.close();
    await rm(path, { force: true });
  }
}

function checkKeys({ auth }: EdgeAgentConfig): DoctorResult {
  if (auth === undefined) {
    return { check: "keys", ok: true, found: "no doors that need keys", advice: "" };
  }
  const count = readKeySet(auth).keys.length;
  const advice = count > 0 ? "" : "Put the mesh's public keys into auth.jwks or auth.jwksFile.";
  return { check: "keys", ok: count > 0, found: `${count} public keys`, advice };
}

async function checkPorts(config: EdgeAgentConfig, isRunning: boolean): Promise<DoctorResult> {
  if (isRunning) return { check: "ports", ok: true, found: "held by the agent", advice: "" };
  const { http, mqtt } = config.doors;
  const wanted = [http, mqtt, config.admin].filter((one) => one !== undefined);
  const taken: string[] = [];
  for (const { host, port } of wanted) {
    if (port !== 0 && !(await isFree(host, port))) taken.push(`${host}:${port}`);
  }
  const ok = taken.length === 0;
  const found = ok ? `${wanted.length} free` : `in use: ${taken.join(", ")}`;
  const advice = ok ? "" : "Stop the other process, or choose other ports under doors and admin.";
  return { check: "ports", ok, found, advice };
}

async function checkName({ uplink }: EdgeAgentConfig): Promise<DoctorResult> {
  const { hostname } = new URL(uplink.url);
  try {
    const { address } = await lookup(hostname.replace(/^\[|\]$/g, ""));
    return { check: "dns", ok: true, found: `${hostname} is ${address}`, advice: "" };
  } catch {
    const advice = "Check the name in uplink.url, the resolver and the network.";
    return { check: "dns", ok: false, found: `${hostname} is not known`, advice };
  }
}

function checkToken({ uplink }: EdgeAgentConfig, clock: Clock): DoctorResult {
  const token = readToken(uplink);
  const check = "token";
  if (token === undefined) {
    const ok = uplink.tls?.certFile !== undefined;
    const found = ok
      ? "none; a client certificate is configured"
      : "none, or its file is unreadable";
    return { check, ok, found, advice: ok ? "" : "Give uplink.token or uplink.tokenFile." };
  }
  const expiresMs = expiryOfToken(token);
  if (expiresMs === undefined) return { check, ok: true, found: "has no expiry", advice: "" };
  const leftMs = expiresMs - clock.wallMs();
  const found = `${leftMs < 0 ? "expired" : "expires"} ${new Date(expiresMs).toISOString()}`;
  const ok = leftMs > tokenSoonMs;
  return {
    check,
    ok,
    found,
    advice: ok ? "" : "Get a new token and put it into uplink.tokenFile.",
  };
}

/** Only looked at, not checked: that is the region's part. */
function expiryOfToken(token: string): number | undefined {
  try {
    const payload = Buffer.from(token.split(".")[1] ?? "", "base64url").toString("utf8");
    const claims: unknown = JSON.parse(payload);
    if (typeof claims !== "object" || claims === null || !("exp" in claims)) return undefined;
    return typeof claims.exp === "number" ? claims.exp * 1_000 : undefined;
  } catch {
    return undefined;
  }
}

async function checkBroker(config: EdgeAgentConfig, ports: DoctorPorts): Promise<DoctorResult> {
  const check = "broker";
  if (ports.isRunning) {
    const found = "not tried: a second connection would put out the running agent's";
    return { check, ok: true, found, advice: "" };
  }
  const { uplink, agentId } = config;
  const link = new MqttLink({
    url: uplink.url,
    agentId,
    username: uplink.username ?? agentId,
    token: () => readToken(uplink),
    keepaliveSeconds: uplink.keepaliveSeconds,
    connectTimeoutMs: uplink.connectTimeoutMs,
    tls: readTls(uplink),
    messageBytesMax: 65_536,
    logger: ports.logger,
  });
  const startMs = ports.clock.monotonicMs();
  const connection = await link.connect(new AbortController().signal);
  await connection.close();
  const found = `let us in after ${Math.round(ports.clock.monotonicMs() - startMs)} ms`;
  return { check, ok: true, found, advice: "" };
}

function isFree(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, host, () => server.close(() => resolve(true)));
  });
}

function mebibytes(bytes: number): string {
  return `${Math.round(bytes / 1_048_576)} MiB`;
}
