import { execFileSync } from "node:child_process";
import { closeSync, openSync, statSync, writeSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { connectAsync } from "mqtt";
import { afterEach, beforeEach, describe, expect, it, vi, type TestContext } from "vitest";
import type { EdgeTotal, RegionLedger } from "./ledger-check.ts";
import { MeshProcesses } from "./mesh-processes.ts";

const topic = "disk.faults";
const filler = "x".repeat(100_000);
const soon = { timeout: 30_000, interval: 200 };
const [eastHttp, eastMqtt, edgeHttp, edgeMqtt, edgeStatus] = [1, 11, 20, 21, 22] as const;

let mesh: MeshProcesses;
let mounted: string[] = [];

beforeEach(async () => {
  mesh = await MeshProcesses.create();
  mounted = [];
}, 60_000);
afterEach(async () => {
  for (const one of mesh.all) expect(one.crashes).toEqual([]);
  for (const one of mesh.all) await one.kill();
  for (const dir of mounted) execFileSync("umount", [dir]);
  await mesh.close();
});

/** A disk of its own for a part's folder. Mounting needs root: without it the test says so and is left out. */
async function mount(context: TestContext, dir: string, megabytes: number): Promise<void> {
  await mkdir(dir, { recursive: true });
  try {
    const options = `size=${megabytes}m`;
    execFileSync("mount", ["-t", "tmpfs", "-o", options, "tmpfs", dir], { stdio: "pipe" });
  } catch (error) {
    context.skip(error instanceof Error ? error.message.split("\n")[0] : String(error));
  }
  mounted.push(dir);
}

function grow(dir: string, megabytes: number): void {
  execFileSync("mount", ["-o", `remount,size=${megabytes}m`, dir]);
}

const eventOf = (id: string, data: string): string =>
  JSON.stringify({ specversion: "1.0", id, source: "/disk", type: "t", data });

async function post(port: 1 | 20, id: string, data = filler): Promise<Response> {
  return fetch(`http://127.0.0.1:${mesh.port(port)}/v1/topics/${topic}/events`, {
    method: "POST",
    headers: {
      authorization: `Bearer ${mesh.token}`,
      "content-type": "application/cloudevents+json",
    },
    body: eventOf(id, data),
  });
}

/** True at the PUBACK, false when the connection was closed without one. */
async function publish(port: 11 | 21, id: string): Promise<boolean> {
  const client = await connectAsync(`mqtt://127.0.0.1:${mesh.port(port)}`, {
    ...{ clientId: `disk-${id}`, username: "disk", password: mesh.token },
    reconnectPeriod: 0,
  });
  client.on("error", () => undefined);
  const isAcknowledged = await new Promise<boolean>((resolve) => {
    client.once("close", () => resolve(false));
    client.publish(`events/${topic}`, eventOf(id, filler), { qos: 1 }, (error) => resolve(!error));
  });
  await client.endAsync(true);
  return isAcknowledged;
}

/** Publishes until the disk takes no more; gives the ids that were acknowledged. */
async function fill(port: 1 | 20): Promise<string[]> {
  for (const ids: string[] = []; ; ids.push(`fill-${ids.length}`)) {
    const { status } = await post(port, `fill-${ids.length}`);
    if (status === 503) return ids;
    expect(status).toBe(200);
    expect(ids.length).toBeLessThan(1_000);
  }
}

async function storedIds(): Promise<string[]> {
  const ids: string[] = [];
  for (let after = "earliest"; ;) {
    const path = `/v1/topics/${topic}/events?after=${after}&limit=1000`;
    const response = await fetch(`http://127.0.0.1:${mesh.port(eastHttp)}${path}`, {
      headers: { authorization: `Bearer ${mesh.token}` },
    });
    // The topic comes into being with its first event.
    if (response.status === 404) return [];
    const page = (await response.json()) as { events: { id: string }[]; next: string };
    if (page.events.length === 0) return ids;
    ids.push(...page.events.map(({ id }) => id));
    after = page.next;
  }
}

async function startOne(name: "cn-east" | "edge-1"): Promise<void> {
  await mesh.process(name).start();
}

describe("a region's process on a full disk", () => {
  it("refuses at every door without an acknowledgement, keeps serving, and goes on by itself after room or SIGKILL", async (context) => {
    const dir = join(mesh.dir, "regions", "cn-east");
    await mount(context, dir, 16);
    await startOne("cn-east");
    const acknowledged = await fill(eastHttp);
    expect(acknowledged.length).toBeGreaterThan(20);
    const refusal = await post(eastHttp, "refused-http");
    expect(refusal.status).toBe(503);
    expect(Number(refusal.headers.get("retry-after"))).toBeGreaterThan(0);
    expect(await refusal.json()).toMatchObject({ code: "MESH-5001" });
    expect(await publish(eastMqtt, "refused-mqtt")).toBe(false);
    expect(await storedIds()).toEqual(acknowledged);

    await mesh.process("cn-east").kill();
    await startOne("cn-east");
    expect((await post(eastHttp, "refused-again")).status).toBe(503);
    expect(await storedIds()).toEqual(acknowledged);

    grow(dir, 64);
    await vi.waitUntil(async () => (await post(eastHttp, "after-http")).status === 200, soon);
    expect(await publish(eastMqtt, "after-mqtt")).toBe(true);
    expect(await storedIds()).toEqual([...acknowledged, "after-http", "after-mqtt"]);
    expect(await mesh.json(eastHttp, "/v1/ledger")).toMatchObject({ difference: 0 });
  });
});

describe("an edge agent's process on a full disk", () => {
  it("refuses at every door without an acknowledgement, and drains to the region and takes again although its disk is full", async (context) => {
    await mount(context, join(mesh.dir, "agents", "edge-1"), 16);
    await startOne("edge-1");
    const acknowledged = await fill(edgeHttp);
    expect(acknowledged.length).toBeGreaterThan(20);
    const refusal = await post(edgeHttp, "refused-http");
    expect(refusal.status).toBe(503);
    expect(Number(refusal.headers.get("retry-after"))).toBeGreaterThan(0);
    expect(await publish(edgeMqtt, "refused-mqtt")).toBe(false);
    const readiness = await fetch(`http://127.0.0.1:${mesh.port(edgeStatus)}/readyz`);
    expect(readiness.status).toBe(503);

    await startOne("cn-east");
    await vi.waitUntil(async () => (await post(edgeHttp, "after-http")).status === 200, soon);
    expect(await publish(edgeMqtt, "after-mqtt")).toBe(true);
    const all = [...acknowledged, "after-http", "after-mqtt"];
    await vi.waitUntil(async () => (await storedIds()).length >= all.length, soon);
    expect(await storedIds()).toEqual(all);
  });
});

describe("an edge agent's process over a damaged buffer", () => {
  it("starts with a new epoch, and what is readable arrives under the old one; the books tell the rest", async () => {
    await startOne("edge-1");
    const ids = Array.from({ length: 60 }, (_, at) => `event-${at}`);
    for (const id of ids) expect((await post(edgeHttp, id)).status).toBe(200);
    const epoch = await epochNow();
    await mesh.process("edge-1").kill();
    // Started once more so that the log is written into the file, then hit where the events lie.
    await startOne("edge-1");
    await mesh.process("edge-1").kill();
    damage(join(mesh.dir, "agents", "edge-1", "buffer", "buffer.db"));

    await startOne("edge-1");
    expect((await post(edgeHttp, "after-damage")).status).toBe(200);
    await startOne("cn-east");
    await vi.waitUntil(async () => (await storedIds()).includes("after-damage"), soon);
    await vi.waitUntil(async () => (await edgeBooks()).queued === 0, soon);
    expect(await epochNow()).not.toBe(epoch);

    const stored = await storedIds();
    const east = (await mesh.json(eastHttp, "/v1/ledger")) as RegionLedger;
    expect(stored.length).toBeGreaterThan(20);
    expect(new Set(stored).size).toBe(stored.length);
    expect(east.topics.find((one) => one.topic === topic)?.fromAgents).toBe(stored.length);
    expect(east.gaps.damaged).toBeGreaterThan(0);
    expect(east.gaps.damaged).toBe(ids.length + 1 - stored.length);
    expect(east.difference).toBe(0);
    expect((await edgeBooks()).difference).toBe(0);
  });
});

async function edgeBooks(): Promise<EdgeTotal> {
  const ledger = (await mesh.json(edgeStatus, "/v1/ledger")) as { total: EdgeTotal };
  return ledger.total;
}

async function epochNow(): Promise<string> {
  const status = (await mesh.json(edgeStatus, "/status.json")) as { epoch: string };
  return status.epoch;
}

function damage(file: string): void {
  const pageBytes = 4_096;
  const pageCount = Math.floor(statSync(file).size / pageBytes);
  const noise = Buffer.alloc(4 * pageBytes, 0x5a);
  const descriptor = openSync(file, "r+");
  writeSync(descriptor, noise, 0, noise.length, Math.floor(pageCount / 2) * pageBytes);
  closeSync(descriptor);
}
