import { execFileSync } from "node:child_process";
import { rmSync, writeFileSync } from "node:fs";
import { cp, mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import {
  createLogger,
  noExtensions,
  systemChance,
  systemClock,
  type MeshEvent,
} from "@fleetmesh/core";
import {
  createEdgeAgent,
  edgeAgentConfigSchema,
  type EdgeAgent,
  type EdgeAgentConfigInput,
} from "@fleetmesh/edge-agent";
import { RuntimeHarness } from "./runtime-harness.ts";

const logger = createLogger({ part: "test", level: "silent" });
const topic = "vehicle.telemetry";
let directory: string;
let region: RuntimeHarness;
const running: EdgeAgent[] = [];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "fleetmesh-copies-"));
  region = await RuntimeHarness.open();
});

afterEach(async () => {
  for (const agent of running.splice(0)) await agent.stop(AbortSignal.timeout(5_000));
  await region.close();
  await rm(directory, { recursive: true, force: true });
});

async function startAgent(
  name: string,
  {
    port = region.runtime.mqttPort,
    ...more
  }: { port?: number } & Partial<EdgeAgentConfigInput> = {},
): Promise<EdgeAgent> {
  const config = edgeAgentConfigSchema.parse({
    agentId: "car-1",
    dataDir: join(directory, name),
    uplink: {
      url: `mqtt://127.0.0.1:${port}`,
      token: await region.token(undefined, "car-1"),
      reconnect: { initialMs: 20, maxMs: 300 },
      refusedRetry: { initialMs: 50, maxMs: 300 },
    },
    ...more,
  });
  const agent = createEdgeAgent(config, { clock: systemClock, chance: systemChance, logger });
  running.push(agent);
  await agent.start();
  return agent;
}

async function stop(agent: EdgeAgent): Promise<void> {
  running.splice(running.indexOf(agent), 1);
  await agent.stop(AbortSignal.timeout(5_000));
}

function eventsOf(prefix: string, count: number): MeshEvent[] {
  return Array.from({ length: count }, (_, at) => ({
    id: prefix === "" ? "" : `${prefix}${at + 1}`,
    source: "/vehicle/1",
    type: "speed",
    subject: undefined,
    time: undefined,
    datacontenttype: undefined,
    dataschema: undefined,
    extensions: noExtensions,
    data: Buffer.from(`${at}`),
    dataKind: "binary" as const,
  }));
}

const idsOf = (prefix: string, count: number): string[] =>
  eventsOf(prefix, count).map(({ id }) => id);

async function isDrained(agent: EdgeAgent): Promise<boolean> {
  const { queued, difference } = (await agent.ledger()).total;
  return queued === 0 && difference === 0 && agent.buffers.salvaged.length === 0;
}

/** The same inode with the older bytes, as a snapshot of the disk brings it back. */
function restoreInPlace(image: string, path: string): void {
  execFileSync("dd", [`if=${image}`, `of=${path}`, "conv=notrunc,fsync"], { stdio: "ignore" });
  execFileSync("truncate", ["-r", image, path]);
  rmSync(`${path}-wal`, { force: true });
}

const patience = { timeout: 60_000, interval: 50 };
/** Nothing listens there. */
const nowhere = { port: 1 };

describe("two agents on copies of one buffer", () => {
  it("bring everything to the region exactly once, the copy under a new epoch", async () => {
    const before = await startAgent("one", nowhere);
    await before.publish(topic, ...eventsOf("both-", 50), ...eventsOf("", 5));
    const { epoch } = before.buffers.current;
    await stop(before);
    await cp(join(directory, "one"), join(directory, "two"), { recursive: true });

    const one = await startAgent("one");
    const two = await startAgent("two");
    expect(one.buffers.current.epoch).toBe(epoch);
    expect(two.buffers.current.epoch).not.toBe(epoch);
    for (let round = 0; round < 5; round += 1) {
      await one.publish(topic, ...eventsOf(`one-${round}-`, 20));
      await two.publish(topic, ...eventsOf(`two-${round}-`, 20));
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    await vi.waitUntil(async () => (await isDrained(one)) && (await isDrained(two)), patience);
    const found = await region.ids(topic);
    expect(new Set(found).size).toBe(found.length);
    expect(found).toHaveLength(55 + 200);
    const own = [0, 1, 2, 3, 4].flatMap((round) => [
      ...idsOf(`one-${round}-`, 20),
      ...idsOf(`two-${round}-`, 20),
    ]);
    expect(new Set(found)).toEqual(
      new Set([...found.filter((id) => !/^(one|two)-/.test(id)), ...own]),
    );
    expect(one.uplink.status().refused).toEqual([]);
  });

  it("loses nothing when the file was restored in its place from an older image", async () => {
    const path = join(directory, "one", "buffer", "buffer.db");
    const image = join(directory, "image.db");
    const first = await startAgent("one", nowhere);
    await first.publish(topic, ...eventsOf("old-", 10), ...eventsOf("", 3));
    await stop(first);
    await cp(path, image);
    const second = await startAgent("one");
    await second.publish(topic, ...eventsOf("gone-", 30));
    await vi.waitUntil(() => isDrained(second), patience);
    const { epoch } = second.buffers.current;
    await stop(second);

    restoreInPlace(image, path);
    const third = await startAgent("one", nowhere);
    expect(third.buffers.current.epoch).toBe(epoch);
    await third.publish(topic, ...eventsOf("new-", 5));
    await stop(third);
    const fourth = await startAgent("one");
    await vi.waitUntil(() => !["", epoch].includes(fourth.buffers.current.epoch), patience);
    await fourth.publish(topic, ...eventsOf("later-", 5));
    await vi.waitUntil(async () => (await region.ids(topic)).includes("new-5"), patience);
    await vi.waitUntil(() => isDrained(fourth), patience);

    const found = await region.ids(topic);
    const wanted = [...idsOf("old-", 10), ...idsOf("gone-", 30), ...idsOf("new-", 5)];
    expect(found).toEqual(expect.arrayContaining([...wanted, ...idsOf("later-", 5)]));
    // What the region had and the image did not know of comes twice, the nameless of it under ids of the new epoch.
    const twice = found.filter((id, at) => found.indexOf(id) !== at);
    expect(twice.sort()).toEqual(idsOf("old-", 10).sort());
    expect(found.filter((id) => id.includes(epoch))).toHaveLength(3);
    expect(found).toHaveLength(30 + 26 + 5 + 5);
    expect(fourth.buffers.damages).toHaveLength(1);
  });

  it("loses nothing when the restored image has gone beyond the region's watermark before it comes back", async () => {
    const path = join(directory, "one", "buffer", "buffer.db");
    const image = join(directory, "image.db");
    const first = await startAgent("one");
    await first.publish(topic, ...eventsOf("old-", 10));
    await vi.waitUntil(() => isDrained(first), patience);
    await stop(first);
    await cp(path, image);
    const second = await startAgent("one");
    await second.publish(topic, ...eventsOf("gone-", 20), ...eventsOf("", 10));
    await vi.waitUntil(() => isDrained(second), patience);
    const { epoch } = second.buffers.current;
    await stop(second);

    restoreInPlace(image, path);
    const third = await startAgent("one", nowhere);
    expect(third.buffers.current.epoch).toBe(epoch);
    await third.publish(topic, ...eventsOf("new-", 30), ...eventsOf("", 10));
    await stop(third);
    // The region has 40 of this epoch, the buffer 50: no number is missing anywhere, and 30 of them are two events'.
    const fourth = await startAgent("one");
    await vi.waitUntil(() => !["", epoch].includes(fourth.buffers.current.epoch), patience);
    await vi.waitUntil(async () => (await region.ids(topic)).length >= 80, patience);
    await vi.waitUntil(() => isDrained(fourth), patience);
    const found = await region.ids(topic);
    expect(new Set(found).size).toBe(80);
    expect(found).toHaveLength(80);
    expect(found).toEqual(
      expect.arrayContaining([...idsOf("gone-", 20), ...idsOf("new-", 30), ...idsOf("old-", 10)]),
    );
    expect(found.filter((id) => id.includes(epoch))).toHaveLength(10);
  });

  it("renews the epoch that the region refuses as cloned, and brings what was waiting", async () => {
    const agent = await startAgent("one", nowhere);
    await agent.publish(topic, ...eventsOf("a-", 20), ...eventsOf("", 2));
    const { current } = agent.buffers;
    await agent.buffers.renew(current, "told by a test");
    expect(agent.buffers.current.epoch).not.toBe(current.epoch);
    await agent.publish(topic, ...eventsOf("b-", 20));
    await vi.waitUntil(() => agent.buffers.salvaged.length === 1, patience);
    await stop(agent);
    const later = await startAgent("one");
    await vi.waitUntil(() => isDrained(later), patience);
    const found = await region.ids(topic);
    expect(found).toHaveLength(42);
    expect(found).toEqual(expect.arrayContaining([...idsOf("a-", 20), ...idsOf("b-", 20)]));
    // What the agent named itself is named anew: the other buffer may have given the name to another event.
    expect(found.filter((id) => /^[0-9a-f]{16}-/.test(id))).toHaveLength(2);
    expect(found.filter((id) => id.includes(current.epoch))).toEqual([]);
    const isClean = async () =>
      (await readdir(join(directory, "one", "buffer"))).every(
        (name) => !/damaged|salvage/.test(name),
      );
    await vi.waitUntil(isClean, patience);
  });
});

describe("an agent whose buffer is lost or not there yet", () => {
  it("opens its doors while the buffer's folder cannot be made, and takes events when it can", async () => {
    const folder = join(directory, "late");
    await mkdir(folder);
    writeFileSync(join(folder, "buffer"), "in the way");
    const agent = await startAgent("late", {
      doors: { http: { port: 0 } },
      auth: { jwks: { keys: [region.key.publicKey as { kty: string }] } },
      admin: { port: 0 },
    });
    const token = await region.token();
    const post = () =>
      fetch(`http://127.0.0.1:${agent.ports.http}/v1/topics/${topic}/events`, {
        method: "POST",
        headers: {
          authorization: `Bearer ${token}`,
          "content-type": "application/cloudevents+json",
        },
        body: `{"specversion":"1.0","id":"1","source":"/s","type":"t"}`,
      });
    const refused = await post();
    expect(refused.status).toBe(503);
    expect(await refused.json()).toMatchObject({ code: "MESH-4002" });
    const admin = `http://127.0.0.1:${agent.ports.admin}`;
    expect((await fetch(`${admin}/readyz`)).status).toBe(503);
    expect((await fetch(`${admin}/status.json`)).status).toBe(200);
    expect((await fetch(`${admin}/metrics`)).status).toBe(200);
    rmSync(join(folder, "buffer"));
    await vi.waitUntil(async () => (await post()).status === 200, patience);
    await vi.waitUntil(async () => (await region.ids(topic)).includes("1"), patience);
    expect((await fetch(`${admin}/readyz`)).status).toBe(200);
  });

  it("sends what is appended right after the switch to a fresh buffer, on the same uplink", async () => {
    const agent = await startAgent("one");
    await agent.publish(topic, ...eventsOf("a-", 3));
    await vi.waitUntil(() => isDrained(agent), patience);
    await agent.buffers.renew(agent.buffers.current, "told by a test");
    await agent.publish(topic, ...eventsOf("b-", 3));
    await vi.waitUntil(async () => (await region.ids(topic)).length === 6, patience);
    await vi.waitUntil(() => isDrained(agent), patience);
    expect(agent.uplink.status().state).toBe("online");
  });

  it("goes on by itself when the buffer's thread dies, with everything that it acknowledged", async () => {
    const seen = vi.spyOn(Worker.prototype, "postMessage");
    try {
      const agent = await startAgent("one", nowhere);
      const { epoch } = agent.buffers.current;
      await agent.publish(topic, ...eventsOf("a-", 10));
      // The region's store has threads too; appends in units are the buffer's.
      const isAppend = ([sent]: unknown[]) =>
        typeof sent === "object" && sent !== null && "units" in sent;
      const thread = (seen.mock.contexts as Worker[])[seen.mock.calls.findIndex(isAppend)];
      expect(await thread?.terminate()).toBe(1);
      const isTaken = () =>
        agent.publish(topic, ...eventsOf("b-", 1)).then(
          () => true,
          () => false,
        );
      await vi.waitUntil(isTaken, patience);
      expect(agent.buffers.current.epoch).toBe(epoch);
      expect((await agent.ledger()).total).toMatchObject({ queued: 11, difference: 0 });
      await stop(agent);
      const later = await startAgent("one");
      await vi.waitUntil(() => isDrained(later), patience);
      expect(await region.ids(topic)).toEqual([...idsOf("a-", 10), "b-1"]);
    } finally {
      seen.mockRestore();
    }
  });
});
