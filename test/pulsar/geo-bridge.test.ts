import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { eventText, type RuntimeHarness } from "../integration/runtime-harness.ts";
import { pulsarPairAddress, type PulsarPairAddress } from "../servers/pulsar-pair.ts";
import { adminCall } from "../servers/pulsar-server.ts";
import { sharedPulsarMissing } from "../servers/shared-pulsar.ts";
import { GeoMeshFixture } from "./geo-mesh-fixture.ts";

const topic = "vehicle.telemetry";
const waiting = { timeout: 40_000, interval: 100 };
const open: { close(): Promise<unknown> }[] = [];

const ids = (prefix: string, count: number): string[] =>
  Array.from({ length: count }, (_, at) => `${prefix}-${at}`);
const events = (prefix: string, count: number): string[] =>
  ids(prefix, count).map((id, at) => eventText(id, { subject: `key-${at % 5}` }));

async function subscribe(harness: RuntimeHarness): Promise<void> {
  const body = { id: "s", topic, sink: "http://127.0.0.1:9/", protocol: "HTTP" };
  const response = await harness.request("/v1/subscriptions", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  expect(response.status).toBe(201);
}

describe.skipIf(sharedPulsarMissing() !== undefined)("a mesh of regions over Pulsar", () => {
  let pair: PulsarPairAddress;
  beforeAll(async () => {
    pair = await pulsarPairAddress();
  });
  afterAll(async () => pair.close());
  afterEach(async () => {
    for (const each of open.splice(0).reverse()) await each.close();
  });

  async function mesh(settings: object = {}): Promise<GeoMeshFixture> {
    const fixture = await GeoMeshFixture.open(pair, settings);
    open.push(fixture);
    return fixture;
  }

  it("brings what a subscription wants, from the moment it was made, in order, once, with where it entered the mesh", async () => {
    const { east, west, bridge } = await mesh();
    await east.publish(topic, ...events("before", 3));
    await new Promise((resolve) => setTimeout(resolve, 4_000));
    await subscribe(west);
    for (let at = 0; at < 10; at += 1) await east.publish(topic, ...events(`wanted-${at}`, 20));
    const wanted = ids("wanted", 10).flatMap((prefix) => ids(prefix, 20));
    await vi.waitFor(async () => expect((await west.ids(topic)).length).toBe(200), waiting);
    expect(await west.ids(topic)).toEqual(wanted);
    const text = await (await west.request(`/v1/topics/${topic}/events`)).text();
    expect(text).toContain(`"meshorigin":"cn-east"`);
    // What follows the data has its own time.
    await vi.waitFor(
      () =>
        expect(bridge.links()).toMatchObject([
          { from: "cn-east", to: "cn-west", topic, kind: "pulsar", state: "up", backlog: 0 },
        ]),
      waiting,
    );
    const ledger = (await (await west.request("/v1/ledger")).json()) as Record<string, unknown>;
    expect(ledger).toMatchObject({ difference: 0, topics: [{ topic, replicated: 200 }] });
    await vi.waitFor(
      async () =>
        expect(await bridge.registry.metrics()).toMatch(
          /fleetmesh_replication_lag_seconds\{region="cn-east",to="cn-west",topic="vehicle.telemetry"\} 0\n/,
        ),
      waiting,
    );
  });

  it("gives every event to both regions once when both publish: nothing comes back", async () => {
    const both = ["cn-east", "cn-west"];
    const { east, west } = await mesh({ topics: [{ topic: ">", to: both }] });
    for (let at = 0; at < 5; at += 1) {
      await east.publish(topic, ...events(`east-${at}`, 10));
      await west.publish(topic, ...events(`west-${at}`, 10));
    }
    const expected = both
      .flatMap((name) => ids(name.slice(3), 5))
      .flatMap((prefix) => ids(prefix, 10));
    for (const each of [east, west])
      await vi.waitFor(
        async () => expect((await each.ids(topic)).sort()).toEqual(expected.sort()),
        waiting,
      );
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    for (const each of [east, west]) {
      const found = await each.ids(topic);
      expect(found).toHaveLength(100);
      for (const side of ["east", "west"])
        expect(found.filter((id) => id.startsWith(side))).toEqual(
          ids(side, 5).flatMap((prefix) => ids(prefix, 10)),
        );
    }
  });

  it("corrects what somebody changed in Pulsar, without losing or repeating an event", async () => {
    const { east, west, bridge, tenant } = await mesh({
      topics: [{ topic: ">", to: ["cn-west"] }],
    });
    await east.publish(topic, ...events("one", 10));
    await vi.waitFor(async () => expect(await west.ids(topic)).toEqual(ids("one", 10)), waiting);
    await vi.waitFor(() => expect(bridge.links()).toMatchObject([{ state: "up" }]), waiting);
    await new Promise((resolve) => setTimeout(resolve, 700));
    await adminCall(pair.east, "DELETE", `persistent/${tenant}/mesh/${topic}/replication`);
    await east.publish(topic, ...events("two", 10));
    const all = [...ids("one", 10), ...ids("two", 10)];
    await vi.waitFor(async () => expect(await west.ids(topic)).toEqual(all), waiting);
    const drift = await bridge.registry.getSingleMetric("fleetmesh_replication_drift_total")?.get();
    expect(drift?.values.map(({ value }) => value)).toEqual([1]);
  });

  it("is withdrawn when the last subscription goes, and misses nothing of what the next one wants", async () => {
    const { east, west, bridge } = await mesh();
    await subscribe(west);
    await east.publish(topic, ...events("one", 10));
    await vi.waitFor(async () => expect(await west.ids(topic)).toEqual(ids("one", 10)), waiting);
    await west.request("/v1/subscriptions/s", { method: "DELETE" });
    await vi.waitFor(() => expect(bridge.links()).toEqual([]), waiting);
    await east.publish(topic, ...events("two", 10));
    await subscribe(west);
    await east.publish(topic, ...events("three", 10));
    const all = ["one", "two", "three"].flatMap((prefix) => ids(prefix, 10));
    await vi.waitFor(async () => expect(await west.ids(topic)).toEqual(all), waiting);
  });

  it("brings an event that names its regions to those only, and the ledger of both balances", async () => {
    const { east, west } = await mesh({ topics: [{ topic: ">", to: ["cn-west"] }] });
    const named = [undefined, "cn-west", "cn-south", "cn-south, cn-west"];
    for (let round = 0; round < 10; round += 1)
      await east.publish(
        topic,
        ...named.map((meshregions, at) =>
          eventText(`${at}-${round}`, meshregions === undefined ? {} : { meshregions }),
        ),
      );
    await east.publish(topic, eventText("last"));
    const all = await east.ids(topic);
    expect(all).toHaveLength(41);
    await vi.waitFor(async () => expect(await west.ids(topic)).toContain("last"), waiting);
    expect(await west.ids(topic)).toEqual(all.filter((id) => !id.startsWith("2-")));
    for (const each of [east, west]) {
      const ledger = (await (await each.request("/v1/ledger")).json()) as { difference: number };
      expect(ledger.difference).toBe(0);
    }
  });

  it("frees both clusters of a region that leaves, and brings it back as if it had only been away", async () => {
    const dir = await mkdtemp(join(tmpdir(), "fleetmesh-regions-"));
    open.push({ close: () => rm(dir, { recursive: true, force: true }) });
    const { east, west, bridge, tenant, regions } = await mesh({
      topics: [{ topic: ">", to: ["cn-east", "cn-west"] }],
      regionsDir: dir,
    });
    const file = join(dir, "cn-west.yaml");
    const clusters = async (): Promise<unknown[]> =>
      Promise.all(
        [pair.east, pair.west].map(async (server) => {
          const path = `persistent/${tenant}/mesh/${topic}/replication`;
          const { text } = await adminCall(server, "GET", path);
          return text === "" ? [] : (JSON.parse(text) as unknown);
        }),
      );
    await writeFile(file, JSON.stringify(regions[1]));
    await east.publish(topic, ...events("one", 10));
    await vi.waitFor(async () => expect(await west.ids(topic)).toEqual(ids("one", 10)), waiting);
    await writeFile(file, JSON.stringify({ ...regions[1], leaving: true }));
    await vi.waitFor(
      () => expect(bridge.regions().map(({ state }) => state)).toEqual(["joined", "left"]),
      waiting,
    );
    expect(await clusters()).toEqual([[], []]);
    await east.publish(topic, ...events("two", 10));
    await writeFile(file, JSON.stringify(regions[1]));
    const all = [...ids("one", 10), ...ids("two", 10)];
    await vi.waitFor(async () => expect(await west.ids(topic)).toEqual(all), waiting);
  });

  it("stores each event once and in order when bridges that want and do not want it follow each other in the middle of their work", async () => {
    const wanting = { topics: [{ topic, to: ["cn-west"] }], graceMs: 0 };
    const fixture = await mesh(wanting);
    const { east, west } = fixture;
    const stop = new AbortController();
    const publishing = (async () => {
      let count = 0;
      for (; !stop.signal.aborted; count += 1)
        await east.publish(topic, ...events(`e-${count}`, 5));
      return count;
    })();
    for (let round = 0; round < 12; round += 1) {
      await new Promise((resolve) => setTimeout(resolve, 150 + 290 * (round % 4)));
      await fixture.bridgeAnew(round % 3 === 0 ? { graceMs: 0 } : wanting);
    }
    stop.abort();
    const all = ids("e", await publishing).flatMap((prefix) => ids(prefix, 5));
    await fixture.bridgeAnew(wanting);
    await vi.waitFor(
      async () => expect((await west.ids(topic)).length).toBeGreaterThanOrEqual(all.length),
      waiting,
    );
    expect(await east.ids(topic)).toEqual(all);
    expect(await west.ids(topic)).toEqual(all);
    const ledger = (await (await west.request("/v1/ledger")).json()) as { difference: number };
    expect(ledger.difference).toBe(0);
  });
});
