import { setTimeout as delay } from "node:timers/promises";
import { afterEach, describe, expect, it, vi } from "vitest";
import type { RuntimeHarness } from "../integration/runtime-harness.ts";
import { PulsarPair } from "../servers/pulsar-pair.ts";
import type { PulsarServer } from "../servers/pulsar-server.ts";
import { sharedPulsarMissing } from "../servers/shared-pulsar.ts";
import { expectAllOnce } from "./drill-outcome.ts";
import { startAgent, startPoster, type DrillPublisher } from "./drill-publisher.ts";
import { GeoMeshFixture, whenReady } from "./geo-mesh-fixture.ts";

const topic = "vehicle.telemetry";
const both = ["cn-east", "cn-west"];
const waiting = { timeout: 120_000, interval: 250 };
const outageMs = 5_000;

const open: { close: () => Promise<unknown> }[] = [];
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close();
});

const seconds = (ms: number): string => `${(ms / 1_000).toFixed(1)} s`;

/** The largest lag that the bridge shows, while `during` runs. */
async function worstLag(mesh: GeoMeshFixture, during: Promise<unknown>): Promise<number> {
  let worst = 0;
  const over = new AbortController();
  void during.catch(() => undefined).finally(() => over.abort());
  while (!over.signal.aborted) {
    for (const { lagSeconds } of mesh.bridge.links()) worst = Math.max(worst, lagSeconds);
    await delay(100);
  }
  await during;
  return worst;
}

/** Kills a region's Pulsar, leaves it dead for a while, brings it back, and says how long what took. */
async function lose(server: PulsarServer, region: RuntimeHarness, other: RuntimeHarness) {
  await server.kill();
  await delay(outageMs);
  const fromOther = await other.ids(topic);
  const upMs = performance.now();
  await server.restart();
  const healthyMs = performance.now();
  await whenReady(region);
  const readyMs = performance.now();
  // Everything that the other region had stored while this one was away.
  await vi.waitFor(async () => {
    const here = new Set(await region.ids(topic));
    expect(fromOther.filter((id) => !here.has(id))).toEqual([]);
  }, waiting);
  const caughtUpMs = performance.now();
  return `broker up after ${seconds(healthyMs - upMs)}, region takes events ${seconds(readyMs - healthyMs)} later, has all of the other's ${seconds(caughtUpMs - readyMs)} after that`;
}

describe.skipIf(sharedPulsarMissing() !== undefined)("the loss of a region", () => {
  it("loses no acknowledged event, doubles none and keeps each key's order, when west and then east is killed and comes back", async () => {
    const pair = await PulsarPair.start();
    open.push(pair);
    const mesh = await GeoMeshFixture.open(pair, { topics: [{ topic, to: both }] });
    open.push(mesh);
    const { east, west } = mesh;
    const publishers: DrillPublisher[] = [
      ...[east, west].map((region) => startPoster(region, topic)),
      ...(await Promise.all([east, west].map((region) => startAgent(region, topic)))),
    ];
    await vi.waitFor(
      () => expect(mesh.bridge.links().map(({ state }) => state)).toEqual(["up", "up"]),
      waiting,
    );
    await delay(2_000);

    let told = "";
    const drill = (async () => {
      told += `west lost: ${await lose(pair.west, west, east)}\n`;
      await delay(2_000);
      told += `east lost: ${await lose(pair.east, east, west)}\n`;
      await delay(2_000);
    })();
    const lag = await worstLag(mesh, drill);

    const stoppedMs = performance.now();
    await Promise.all(publishers.map((publisher) => publisher.stop()));
    const acknowledged = publishers.flatMap((publisher) => publisher.acknowledged).sort();
    for (const region of [east, west])
      await vi.waitFor(
        async () =>
          expect((await region.ids(topic)).length).toBeGreaterThanOrEqual(acknowledged.length),
        waiting,
      );
    told += `${acknowledged.length} events acknowledged; both regions have all ${seconds(performance.now() - stoppedMs)} after the last; largest lag shown ${lag.toFixed(1)} s\n`;
    process.stdout.write(told);

    for (const region of [east, west]) await expectAllOnce(region, topic, publishers);
    await vi.waitFor(() => {
      for (const link of mesh.bridge.links())
        expect(link).toMatchObject({ state: "up", backlog: 0, lagSeconds: 0 });
    }, waiting);
  }, 600_000);
});
