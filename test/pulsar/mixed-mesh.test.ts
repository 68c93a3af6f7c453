import type { Bridge } from "@fleetmesh/bridge";
import { systemChance } from "@fleetmesh/core";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { DeliverySink } from "../integration/delivery-sink.ts";
import { eventText, RuntimeHarness } from "../integration/runtime-harness.ts";
import { PulsarPair } from "../servers/pulsar-pair.ts";
import { sharedPulsarMissing } from "../servers/shared-pulsar.ts";
import { expectAllOnce, expectKeysInOrder, ledgerOf } from "./drill-outcome.ts";
import { startPoster, type DrillPublisher } from "./drill-publisher.ts";
import { openRegions, startBridge, whenReady } from "./geo-mesh-fixture.ts";
import { lyingEvents } from "./lying-events.ts";

const topic = "vehicle.telemetry";
const names = ["cn-east", "cn-west", "idc-1"] as const;
const everywhere = { topics: [{ topic, to: names }] };
const waiting = { timeout: 120_000, interval: 100 };
const open: { close(): Promise<unknown> }[] = [];

/** Where an event was published: its id ends in the region's name, or has a number behind it. */
const homeOf = (id: string): string => /(cn-east|cn-west|idc-1)(-\d+)?$/.exec(id)?.[1] ?? "";

/** Two regions over a Pulsar each, one on the embedded store, and a bridge between all of them. */
class MixedMesh {
  readonly all: readonly RuntimeHarness[];
  readonly tenant: string;
  readonly #regions: readonly object[];
  #bridge: Bridge | undefined;

  static async open({ east, west }: PulsarPair, settings: object): Promise<MixedMesh> {
    const tenant = `t-${systemChance.hex64()}`;
    const ends = await openRegions([east, west], tenant);
    const idc = await RuntimeHarness.open({ region: "idc-1" }, ends[0]?.runtime.key);
    const embedded = { name: "idc-1", url: idc.url, token: await idc.token() };
    const all = [...ends.map(({ runtime }) => runtime), idc];
    const mesh = new MixedMesh(all, [...ends.map(({ region }) => region), embedded], tenant);
    open.push(mesh);
    await Promise.all(all.map(whenReady));
    await mesh.bridgeAnew(settings);
    return mesh;
  }

  private constructor(all: readonly RuntimeHarness[], regions: readonly object[], tenant: string) {
    this.all = all;
    this.tenant = tenant;
    this.#regions = regions;
  }

  region(name: (typeof names)[number]): RuntimeHarness {
    const found = this.all.find(({ region }) => region === name);
    if (found === undefined) throw new Error(name);
    return found;
  }

  async bridgeAnew(settings: object): Promise<void> {
    await this.#bridge?.stop();
    this.#bridge = await startBridge(this.#regions, { auditMs: 200, ...settings });
  }

  /** Waits until the links (`from>to kind`) are these and no others, and all up. */
  async whenLinked(wanted: readonly string[]): Promise<void> {
    await vi.waitFor(() => {
      const links = this.#bridge?.links() ?? [];
      const found = links.map(({ from, to, kind }) => `${from}>${to} ${kind}`).sort();
      expect(found).toEqual(wanted);
      expect([...new Set(links.map(({ state }) => state))]).toEqual(["up"]);
    }, waiting);
  }

  async close(): Promise<void> {
    await this.#bridge?.stop();
    await Promise.all(this.all.map((region) => region.close()));
  }
}

const everyLink = [
  "cn-east>cn-west pulsar",
  "cn-east>idc-1 embedded",
  "cn-west>cn-east pulsar",
  "cn-west>idc-1 embedded",
  "idc-1>cn-east embedded",
  "idc-1>cn-west embedded",
];

async function makeTopic(region: RuntimeHarness): Promise<void> {
  const init = { method: "PUT", headers: { "content-type": "application/json" }, body: "{}" };
  expect((await region.request(`/v1/topics/${topic}`, init)).status).toBe(200);
}

async function subscribe(region: RuntimeHarness): Promise<DeliverySink> {
  const sink = await new DeliverySink().start();
  open.push({ close: () => sink.stop() });
  const response = await region.request("/v1/subscriptions", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ id: "s", topic, sink: sink.url, protocol: "HTTP" }),
  });
  expect(response.status).toBe(201);
  return sink;
}

/** Runs until each has so many more acknowledged. */
async function untilMore(publishers: readonly DrillPublisher[], count: number): Promise<void> {
  const wanted = publishers.map(({ acknowledged }) => acknowledged.length + count);
  await vi.waitFor(() => {
    for (const [at, { acknowledged }] of publishers.entries())
      expect(acknowledged.length).toBeGreaterThanOrEqual(wanted[at] ?? 0);
  }, waiting);
}

/** Publishes a last event in each region and waits until it is everywhere: what was published before has come or does not. */
async function closeWithLast(mesh: MixedMesh): Promise<string[]> {
  const last = names.map((name) => `last-${name}`);
  for (const name of names)
    expect((await mesh.region(name).publish(topic, eventText(`last-${name}`))).ok).toBe(true);
  for (const region of mesh.all)
    await vi.waitFor(
      async () => expect(await region.ids(topic)).toEqual(expect.arrayContaining(last)),
      waiting,
    );
  return last;
}

/** Nothing was brought twice, nothing is missing, and each event says where it entered the mesh. */
async function expectAudited(mesh: MixedMesh): Promise<void> {
  for (const region of mesh.all) {
    const ledger = await ledgerOf(region);
    expect(ledger, region.region).toMatchObject({ difference: 0, duplicates: { replicated: 0 } });
    for (const account of ledger.replication)
      expect(account, region.region).toMatchObject({ missing: 0, lost: 0, extra: 0, differing: 0 });
    for (const { id, meshorigin } of await region.events(topic))
      expect(meshorigin ?? region.region, `${id} in ${region.region}`).toBe(homeOf(id));
  }
}

describe.skipIf(sharedPulsarMissing() !== undefined)(
  "a mesh of two regions over Pulsar and one on the embedded store",
  () => {
    let pair: PulsarPair;
    beforeAll(async () => {
      pair = await PulsarPair.start();
    });
    afterAll(() => pair.close());
    afterEach(async () => {
      for (const each of open.splice(0).reverse()) await each.close();
    });

    it("gives every event to all three once, by the way between two regions and no other, also when the bridge is started anew", async () => {
      const mesh = await MixedMesh.open(pair, everywhere);
      for (const region of mesh.all) await makeTopic(region);
      await mesh.whenLinked(everyLink);
      const posters = mesh.all.map((region) => startPoster(region, topic));
      await untilMore(posters, 200);
      await mesh.bridgeAnew(everywhere);
      await untilMore(posters, 200);
      await Promise.all(posters.map((poster) => poster.stop()));
      for (const region of mesh.all) await expectAllOnce(region, topic, posters);

      const last = await closeWithLast(mesh);
      const all = [...posters.flatMap(({ acknowledged }) => acknowledged), ...last].sort();
      for (const server of [pair.east, pair.west]) {
        const lying = await lyingEvents({ server, tenant: mesh.tenant, topic }, last);
        expect(lying.map(({ id }) => id).sort(), server.cluster).toEqual(all);
        const brokers = server === pair.east ? "cn-west" : "cn-east";
        for (const { id, from } of lying)
          expect(from, `${id} in ${server.cluster}`).toBe(
            homeOf(id) === brokers ? brokers : undefined,
          );
      }
      await expectAudited(mesh);
      await mesh.whenLinked(everyLink);
    });

    it.for([
      ["idc-1", ["cn-east>idc-1 embedded", "cn-west>idc-1 embedded"]],
      ["cn-west", ["cn-east>cn-west pulsar", "idc-1>cn-west embedded"]],
    ] as const)(
      "brings what a subscriber in %s wants from both others, each event once, and gives them nothing",
      async ([name, links]) => {
        const mesh = await MixedMesh.open(pair, {});
        const sink = await subscribe(mesh.region(name));
        const senders = mesh.all.filter(({ region }) => region !== name);
        for (const region of senders) await makeTopic(region);
        await mesh.whenLinked(links);
        const posters = senders.map((region) => startPoster(region, topic));
        await untilMore(posters, 200);
        await Promise.all(posters.map((poster) => poster.stop()));
        const published = posters.flatMap(({ acknowledged }) => acknowledged).sort();
        await vi.waitFor(() => {
          const had = new Set(sink.ids);
          expect(published.filter((id) => !had.has(id))).toEqual([]);
        }, waiting);
        expect([...sink.ids].sort()).toEqual(published);
        expectKeysInOrder(sink.ids, posters);
        for (const [at, region] of senders.entries())
          expect(await region.ids(topic)).toEqual(posters[at]?.acknowledged);
        await expectAudited(mesh);
      },
    );

    it("brings an event that names regions to these alone, over brokers and links alike", async () => {
      const mesh = await MixedMesh.open(pair, everywhere);
      for (const region of mesh.all) await makeTopic(region);
      await mesh.whenLinked(everyLink);
      const wishes = [["cn-east"], ["cn-west"], ["idc-1"], ["cn-west", "idc-1"]];
      const sent = names.flatMap((home) =>
        wishes.map((regions) => ({ home, regions, id: `${regions.join("+")}-of-${home}` })),
      );
      for (const { home, regions, id } of sent)
        await mesh.region(home).publish(topic, eventText(id, { meshregions: regions.join(",") }));
      const last = await closeWithLast(mesh);
      for (const { region, ids } of await Promise.all(
        mesh.all.map(async (each) => ({ region: each.region, ids: await each.ids(topic) })),
      )) {
        const wanted = sent.filter(
          ({ home, regions }) => home === region || regions.includes(region),
        );
        const expected = [...wanted.map(({ id }) => id), ...last];
        expect([...ids].sort(), region).toEqual(expected.sort());
      }
      await expectAudited(mesh);
    });
  },
);
