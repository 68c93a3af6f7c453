import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { bridgeConfigSchema, createBridge, type Bridge } from "@fleetmesh/bridge";
import { createLogger, systemChance, systemClock } from "@fleetmesh/core";
import { createSigningKey } from "@fleetmesh/door";
import { createEdgeAgent, edgeAgentConfigSchema, type EdgeAgent } from "@fleetmesh/edge-agent";
import { DeliverySink } from "./delivery-sink.ts";
import { allowAll, eventText, RuntimeHarness } from "./runtime-harness.ts";

const topic = "vehicle.telemetry";
const unnamedTopic = "vehicle.other";
const refusedTopic = "vehicle.refused";
const subscription = "all";
const logger = createLogger({ part: "test", level: "silent" });
const ports = { clock: systemClock, chance: systemChance, logger };
const waiting = { timeout: 30_000, interval: 50 };

/** A series by its name, with labels that it must have; `cluster` and others may come on top. */
type Wanted = readonly [name: string, labels: Readonly<Record<string, string>>];

interface Series {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

function seriesOf(text: string): Series[] {
  return text.split("\n").flatMap((line) => {
    const match = /^(\w+)(?:\{(.*)\})? ([^ ]+)$/.exec(line);
    if (match === null) return [];
    const [, name = "", inner = "", value = ""] = match;
    const labels = [...inner.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)];
    const pairs = labels.map(([, key = "", text_ = ""]) => [key, text_]);
    return [{ name, labels: Object.fromEntries(pairs) as Series["labels"], value: Number(value) }];
  });
}

function find(all: readonly Series[], [name, labels]: Wanted): Series | undefined {
  return all.find(
    (one) =>
      one.name === name &&
      Object.entries(labels).every(([key, value]) => one.labels[key] === value),
  );
}

function missing(all: readonly Series[], wanted: readonly Wanted[]): string[] {
  return wanted
    .filter((one) => find(all, one) === undefined)
    .map(([name, labels]) => `${name} ${JSON.stringify(labels)}`);
}

const bySubscription = { topic, subscription };

const ofRegion: readonly Wanted[] = [
  ["fleetmesh_events_received_total", { topic, door: "mqtt" }],
  ["fleetmesh_events_duplicate_total", { topic }],
  ["fleetmesh_events_stored_total", { topic }],
  ["fleetmesh_events_delivered_total", { ...bySubscription, target: "http" }],
  ["fleetmesh_delivery_attempts_total", { ...bySubscription, outcome: "200" }],
  ["fleetmesh_events_filtered_total", bySubscription],
  ["fleetmesh_events_dead_lettered_total", bySubscription],
  ["fleetmesh_subscription_lag_events", bySubscription],
  ["fleetmesh_delivery_duration_seconds_count", bySubscription],
  ["fleetmesh_end_to_end_seconds_count", { topic }],
  ["fleetmesh_auth_rejected_total", { topic, reason: "not_permitted" }],
  ["fleetmesh_auth_rejected_total", { topic: "", reason: "malformed" }],
];

const ofOtherRegion: readonly Wanted[] = [
  ["fleetmesh_replication_lag_seconds", { topic, region: "cn-east" }],
  ["fleetmesh_events_stored_total", { topic, from: "regions" }],
];

const ofEdge: readonly Wanted[] = [
  ["fleetmesh_events_received_total", { topic, door: "http" }],
  ["fleetmesh_events_duplicate_total", { topic }],
  ["fleetmesh_edge_buffer_events", { topic, class: "normal" }],
  ["fleetmesh_edge_buffer_bytes", { topic, class: "normal" }],
  ["fleetmesh_edge_buffer_oldest_seconds", { topic, class: "normal" }],
  ["fleetmesh_edge_evicted_total", { topic, class: "normal", reason: "evicted" }],
  ["fleetmesh_uplink_bytes_total", { topic }],
  ["fleetmesh_auth_rejected_total", { topic, reason: "not_permitted" }],
];

const ofBridge: readonly Wanted[] = [
  ["fleetmesh_replication_lag_seconds", { topic, region: "cn-east" }],
  ["fleetmesh_replication_audit_missing_total", { topic, region: "cn-east" }],
];

describe("the metrics of a running mesh", () => {
  let dir: string;
  let [east, west]: RuntimeHarness[] = [];
  let sink: DeliverySink;
  let edge: EdgeAgent;
  let bridge: Bridge;

  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), "fleetmesh-metrics-"));
    sink = await new DeliverySink().start();
    const key = await createSigningKey("mesh");
    east = await RuntimeHarness.open({ region: "cn-east" }, key);
    west = await RuntimeHarness.open({ region: "cn-west" }, key);
    const config = edgeAgentConfigSchema.parse({
      agentId: "vehicle-1",
      dataDir: dir,
      doors: { http: { port: 0 } },
      admin: { port: 0 },
      auth: { jwks: { keys: [key.publicKey] } },
      classes: [{ topic, class: "normal" }],
      uplink: {
        url: `mqtt://127.0.0.1:${east.runtime.mqttPort}`,
        token: await east.token(allowAll, "vehicle-1"),
      },
    });
    edge = createEdgeAgent(config, ports);
    await edge.start();
    const regions = [east, west].map(async (end) => ({
      ...{ name: end.region, url: end.url, token: await end.token() },
    }));
    const links = {
      regions: await Promise.all(regions),
      topics: [{ topic: ">", to: ["cn-west"] }],
    };
    const http = { host: "127.0.0.1", port: 0 };
    bridge = createBridge(bridgeConfigSchema.parse({ ...links, http, auditMs: 100 }), ports);
    await bridge.start();
  });

  afterAll(async () => {
    await bridge.stop();
    await edge.stop(AbortSignal.timeout(5_000));
    await sink.stop();
    await east?.close();
    await west?.close();
    await rm(dir, { recursive: true, force: true });
  });

  const region = (): RuntimeHarness => {
    if (east === undefined) throw new Error("not open");
    return east;
  };

  async function scrape(url: string): Promise<Series[]> {
    return seriesOf(await (await fetch(`${url}/metrics`)).text());
  }

  const edgeUrl = (): string => `http://127.0.0.1:${edge.ports.admin}`;

  async function publishAtEdge(id: string, token: string, to = topic): Promise<number> {
    const { status } = await fetch(`http://127.0.0.1:${edge.ports.http}/v1/topics/${to}/events`, {
      method: "POST",
      headers: {
        authorization: `Bearer ${token}`,
        "content-type": "application/cloudevents+json",
      },
      body: eventText(id),
    });
    return status;
  }

  it("show known topics at zero before the first event", async () => {
    await region().request("/v1/subscriptions", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ id: subscription, topic, sink: sink.url, protocol: "HTTP" }),
    });
    const isSeen = ([name]: Wanted): boolean => !/attempts|auth_rejected/.test(name);
    await vi.waitFor(async () => {
      expect(missing(await scrape(region().url), ofRegion.filter(isSeen))).toEqual([]);
    }, waiting);
    const atEdge = await scrape(edgeUrl());
    expect(missing(atEdge, ofEdge.filter(isSeen))).toEqual([]);
    for (const one of ofEdge.filter(isSeen)) expect(find(atEdge, one)?.value).toBe(0);
  });

  it("have every promised name with its topic, in the process that it belongs to", async () => {
    const token = await region().token();
    const readOnly = await region().token({ publish: [], subscribe: [">"] }, "reader");
    expect(await publishAtEdge("e1", token)).toBe(200);
    expect(await publishAtEdge("e1", token)).toBe(200);
    expect(await publishAtEdge("e2", readOnly)).toBe(403);
    expect(await publishAtEdge("e3", token, unnamedTopic)).toBe(200);
    expect((await region().publish(topic, eventText("d1"))).status).toBe(200);
    const mesh = { publish: [], subscribe: [] };
    const init = { method: "POST", body: eventText("no") };
    const path = (name: string): string => `/v1/topics/${name}/events`;
    expect((await region().request(path(topic), init, mesh)).status).toBe(403);
    expect((await region().request(path(refusedTopic), init, mesh)).status).toBe(403);
    const headers = { authorization: "Bearer no" };
    expect((await fetch(`${region().url}${path(topic)}`, { ...init, headers })).status).toBe(401);
    await vi.waitFor(async () => {
      expect(missing(await scrape(region().url), ofRegion)).toEqual([]);
      expect(missing(await scrape(west?.url ?? ""), ofOtherRegion)).toEqual([]);
      expect(missing(await scrape(edgeUrl()), ofEdge)).toEqual([]);
      expect(missing(await scrape(`http://127.0.0.1:${bridge.port}`), ofBridge)).toEqual([]);
    }, waiting);
    // A topic that the configuration does not name, and that left at once, is shown too.
    const unnamed = ofEdge.map(([name, labels]): Wanted => [
      name,
      { ...labels, topic: unnamedTopic },
    ]);
    const isCounted = ([name]: Wanted): boolean => !/duplicate|auth_rejected/.test(name);
    await vi.waitFor(async () => {
      expect(missing(await scrape(edgeUrl()), unnamed.filter(isCounted))).toEqual([]);
    }, waiting);
    const atEdge = await scrape(edgeUrl());
    expect(find(atEdge, ["fleetmesh_events_duplicate_total", { topic }])?.value).toBe(1);
    expect(find(atEdge, ["fleetmesh_uplink_bytes_total", { topic }])?.value).toBeGreaterThan(0);
  });

  it("name no vehicle, and no topic that a stranger made up", async () => {
    for (const url of [region().url, west?.url ?? "", edgeUrl()]) {
      const text = JSON.stringify(await scrape(url));
      expect(text).not.toContain("vehicle-1");
      expect(text).not.toContain(refusedTopic);
    }
  });
});
