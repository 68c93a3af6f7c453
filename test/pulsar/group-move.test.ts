import { setTimeout as delay } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { DeliverySink } from "../integration/delivery-sink.ts";
import { eventText, type RuntimeHarness } from "../integration/runtime-harness.ts";
import { pulsarPairAddress, type PulsarPairAddress } from "../servers/pulsar-pair.ts";
import { sharedPulsarMissing } from "../servers/shared-pulsar.ts";
import { expectKeysInOrder } from "./drill-outcome.ts";
import { startPoster } from "./drill-publisher.ts";
import { GeoMeshFixture } from "./geo-mesh-fixture.ts";

const topic = "vehicle.telemetry";
const waiting = { timeout: 60_000, interval: 100 };
const open: { close(): Promise<unknown> }[] = [];

function subscribe(region: RuntimeHarness, sink: string, more: object): Promise<Response> {
  const body = { id: "billing", topic, sink, protocol: "HTTP", replicated: true, ...more };
  const headers = { "content-type": "application/json" };
  return region.request("/v1/subscriptions", {
    ...{ method: "POST", headers, body: JSON.stringify(body) },
  });
}

async function unsubscribe(region: RuntimeHarness): Promise<void> {
  const { status } = await region.request("/v1/subscriptions/billing", { method: "DELETE" });
  expect(status).toBe(204);
}

describe.skipIf(sharedPulsarMissing() !== undefined)("a consumer group between regions", () => {
  let pair: PulsarPairAddress;
  beforeAll(async () => {
    pair = await pulsarPairAddress();
  });
  afterAll(async () => pair.close());
  afterEach(async () => {
    for (const each of open.splice(0).reverse()) await each.close();
  });

  async function meshWithSink(): Promise<{ mesh: GeoMeshFixture; sink: DeliverySink }> {
    const mesh = await GeoMeshFixture.open(pair, {
      topics: [{ topic, to: ["cn-east", "cn-west"] }],
    });
    open.push(mesh);
    const sink = await new DeliverySink().start();
    open.push({ close: () => sink.stop() });
    // What is sent before a region knows where its topic goes has no number, and another region could not say that it had it.
    let sent = 0;
    await vi.waitFor(async () => {
      sent += 1;
      for (const region of [mesh.east, mesh.west])
        await region.publish(topic, eventText(`early-${region.region}-${sent}`));
      for (const region of [mesh.east, mesh.west]) {
        const ledger = await (await region.request("/v1/ledger")).text();
        expect(ledger).toMatch(/"sealed":[1-9]/);
      }
    }, waiting);
    return { mesh, sink };
  }

  it("goes on in another region where it was, and comes back: every event once, each key in order", async () => {
    const { mesh, sink } = await meshWithSink();
    const { east, west } = mesh;
    expect((await subscribe(east, sink.url, {})).status).toBe(201);
    const publishers = [east, west].map((region) => startPoster(region, topic));
    for (const [from, to] of [
      [east, west],
      [west, east],
    ] as const) {
      await delay(3_000);
      await unsubscribe(from);
      const told = await from.ids(topic);
      // The last word of the region that it leaves comes with what that region was given.
      await vi.waitFor(async () => {
        const there = new Set(await to.ids(topic));
        expect(told.filter((id) => !there.has(id))).toEqual([]);
      }, waiting);
      await delay(2_000);
      expect((await subscribe(to, sink.url, { start: "continue" })).status).toBe(201);
    }
    await delay(2_000);
    await Promise.all(publishers.map((publisher) => publisher.stop()));
    const published = publishers.flatMap(({ acknowledged }) => acknowledged);
    await vi.waitFor(() => expect(sink.ids.length).toBeGreaterThanOrEqual(published.length), {
      ...waiting,
    });
    await delay(1_000);
    expect([...sink.ids].sort()).toEqual([...published].sort());
    expect(published.length).toBeGreaterThan(100);
    expectKeysInOrder(sink.ids, publishers);
    const ledger = await (await east.request("/v1/ledger")).json();
    expect(ledger).toMatchObject({ difference: 0, subscriptions: [{ difference: 0 }] });
  });

  it("misses nothing when it goes on before the other region has stopped", async () => {
    const { mesh, sink } = await meshWithSink();
    const { east, west } = mesh;
    expect((await subscribe(east, sink.url, {})).status).toBe(201);
    const publishers = [east, west].map((region) => startPoster(region, topic));
    await delay(4_000);
    expect((await subscribe(west, sink.url, { start: "continue" })).status).toBe(201);
    await unsubscribe(east);
    await delay(1_000);
    await Promise.all(publishers.map((publisher) => publisher.stop()));
    const published = publishers.flatMap(({ acknowledged }) => acknowledged);
    await vi.waitFor(() => {
      const had = new Set(sink.ids);
      expect(published.filter((id) => !had.has(id))).toEqual([]);
    }, waiting);
    expect(sink.ids.length).toBeLessThan(1.7 * published.length);
  });

  it("cannot go on where nobody has said where it is", async () => {
    const { mesh, sink } = await meshWithSink();
    const answer = await subscribe(mesh.west, sink.url, { start: "continue" });
    expect(answer.status).toBe(400);
    expect(await answer.text()).toContain("no region has told this one where the group");
  });
});
