import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { DeliverySink } from "../integration/delivery-sink.ts";
import { eventText, type RuntimeHarness } from "../integration/runtime-harness.ts";
import { adminCall } from "../servers/pulsar-server.ts";
import { sharedPulsarMissing } from "../servers/shared-pulsar.ts";
import { expectAllOnce, expectKeysInOrder, ledgerOf } from "./drill-outcome.ts";
import { startPoster, type DrillPublisher } from "./drill-publisher.ts";
import {
  everyLink,
  regionNames,
  startThreeServers,
  ThreeRegionFixture,
  type ThreeServers,
} from "./three-region-fixture.ts";
import { topicEntries, truncateTopic } from "./truncated-topic.ts";

const topic = "vehicle.telemetry";
const everywhere = { topics: [{ topic, to: regionNames }] };
const waiting = { timeout: 120_000, interval: 100 };
const senderNames = ["cn-east", "cn-west"];
const open: { close(): Promise<unknown> }[] = [];

/** Where an event was published: its id ends in the region's name, or has a number behind it. */
const homeOf = (id: string): string => /(cn-east|cn-west|idc-1)(-\d+)?$/.exec(id)?.[1] ?? "";

async function subscribe(region: RuntimeHarness, sink: string, pattern = topic): Promise<void> {
  const body = { id: "s", topic: pattern, sink, protocol: "HTTP" };
  const response = await region.request("/v1/subscriptions", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  expect(response.status).toBe(201);
}

/** Runs until each has so many more acknowledged. */
async function untilMore(publishers: readonly DrillPublisher[], count: number): Promise<void> {
  const wanted = publishers.map(({ acknowledged }) => acknowledged.length + count);
  await vi.waitFor(() => {
    for (const [at, { acknowledged }] of publishers.entries())
      expect(acknowledged.length).toBeGreaterThanOrEqual(wanted[at] ?? 0);
  }, waiting);
}

/** Publishes a last event in each of these regions and waits until it is everywhere: what was published before has come or does not. */
async function closeWithLast(mesh: ThreeRegionFixture): Promise<string[]> {
  const last = senderNames.map((name) => `last-${name}`);
  for (const [at, region] of [mesh.east, mesh.west].entries())
    expect((await region.publish(topic, eventText(last[at] ?? ""))).status).toBeLessThan(300);
  for (const region of mesh.all)
    await vi.waitFor(
      async () => expect(await region.ids(topic)).toEqual(expect.arrayContaining(last)),
      waiting,
    );
  return last;
}

/** Every region has heard how many events of the others were for it, has had them, and got none twice. */
async function expectAudited(
  region: RuntimeHarness,
  sent: ReadonlyMap<string, number>,
): Promise<void> {
  const others = [...sent].filter(([name]) => name !== region.region);
  const nothing = { missing: 0, open: 0, lost: 0, extra: 0, differing: 0, repaired: 0 };
  const accounts = others.map(([name, count]) => ({
    ...{ topic, region: name, sealed: count, arrived: count },
    ...nothing,
  }));
  await vi.waitFor(async () => {
    const { replication } = await ledgerOf(region);
    const sorted = [...replication].sort((left, right) => (left.region < right.region ? -1 : 1));
    expect(sorted, region.region).toEqual(accounts);
  }, waiting);
  expect(await ledgerOf(region)).toMatchObject({ difference: 0, duplicates: { replicated: 0 } });
}

describe.skipIf(sharedPulsarMissing() !== undefined)("a mesh of three regions over Pulsar", () => {
  let servers: ThreeServers;
  beforeAll(async () => {
    servers = await startThreeServers();
  });
  afterAll(() => servers.close());
  afterEach(async () => {
    for (const each of open.splice(0).reverse()) await each.close();
  });

  async function openMesh(settings: object = {}): Promise<ThreeRegionFixture> {
    const fixture = await ThreeRegionFixture.open(servers, settings);
    open.push(fixture);
    return fixture;
  }

  async function openSink(): Promise<DeliverySink> {
    const sink = await new DeliverySink().start();
    open.push({ close: () => sink.stop() });
    return sink;
  }

  it("gives every event to all three once, straight from where it was published, when two publish at the same time", async () => {
    const mesh = await openMesh(everywhere);
    await mesh.linkEverywhere(topic);
    const posters = [mesh.east, mesh.west].map((region) => startPoster(region, topic));
    await untilMore(posters, 500);
    await Promise.all(posters.map((poster) => poster.stop()));
    for (const region of mesh.all) await expectAllOnce(region, topic, posters);

    const last = await closeWithLast(mesh);
    const all = [...posters.flatMap(({ acknowledged }) => acknowledged), ...last].sort();
    for (const server of [servers.east, servers.west, servers.idc]) {
      const lying = await mesh.lyingIn(server, topic, last);
      expect(lying.map(({ id }) => id).sort(), server.cluster).toEqual(all);
      for (const { id, from } of lying)
        expect(from, `${id} in ${server.cluster}`).toBe(
          homeOf(id) === server.cluster ? undefined : homeOf(id),
        );
    }
    const sent = new Map(
      senderNames.map((name) => [name, all.filter((id) => homeOf(id) === name).length]),
    );
    for (const region of mesh.all) {
      for (const { id, meshorigin } of await region.events(topic))
        expect(meshorigin ?? region.region, `${id} in ${region.region}`).toBe(homeOf(id));
      await expectAudited(region, sent);
    }
    await mesh.whenLinked(everyLink);
  });

  it("brings what a subscriber in the receive-only region wants from both others, and gives neither what the other published", async () => {
    const mesh = await openMesh();
    const sink = await openSink();
    await subscribe(mesh.idc, sink.url);
    const posters = [mesh.east, mesh.west].map((region) => startPoster(region, topic));
    await untilMore(posters, 300);
    await Promise.all(posters.map((poster) => poster.stop()));
    const published = posters.flatMap(({ acknowledged }) => acknowledged).sort();
    await vi.waitFor(() => {
      const had = new Set(sink.ids);
      expect(published.filter((id) => !had.has(id))).toEqual([]);
    }, waiting);
    expect([...sink.ids].sort()).toEqual(published);
    expectKeysInOrder(sink.ids, posters);
    for (const { id, body } of sink.received)
      expect(JSON.parse(body)).toMatchObject({ id, meshorigin: homeOf(id) });
    await mesh.whenLinked(["cn-east>idc-1", "cn-west>idc-1"]);
    for (const [at, region] of [mesh.east, mesh.west].entries())
      expect(await region.ids(topic)).toEqual(posters[at]?.acknowledged);
    await vi.waitFor(async () => {
      const ledger = await ledgerOf(mesh.idc);
      expect(ledger).toMatchObject({ difference: 0, duplicates: { replicated: 0 } });
      for (const account of ledger.replication)
        expect(account).toMatchObject({ missing: 0, open: 0, extra: 0 });
    }, waiting);
  });

  it("keeps in the receive-only region what is published there, whatever policies, subscriptions and the event itself say", async () => {
    const mesh = await openMesh(everywhere);
    const sink = await openSink();
    for (const region of [mesh.east, mesh.west]) await subscribe(region, sink.url);
    const early = Array.from({ length: 10 }, (_, at) => `early-idc-1-${at}`);
    await mesh.idc.publish(topic, ...early.map((id) => eventText(id)));
    await mesh.linkEverywhere(topic);
    const late = Array.from({ length: 10 }, (_, at) => `late-idc-1-${at}`);
    const named = late.map((id) => eventText(id, { meshregions: "cn-east,cn-west" }));
    await mesh.idc.publish(topic, ...named);
    const last = await closeWithLast(mesh);
    const idcIds = await mesh.idc.ids(topic);
    expect([...idcIds].sort()).toEqual([...early, ...late, ...last].sort());
    for (const region of [mesh.east, mesh.west])
      expect((await region.ids(topic)).sort()).toEqual(last);
    await vi.waitFor(() => expect(sink.ids).toHaveLength(4), waiting);
    expect([...sink.ids].sort()).toEqual([...last, ...last].sort());
    await mesh.whenLinked(everyLink);
    const path = `persistent/${mesh.tenant}/mesh/${topic}/stats`;
    const { text } = await adminCall(servers.idc, "GET", path);
    expect((JSON.parse(text) as { replication: unknown }).replication).toEqual({});
  });

  it("brings an event that names one of the others to that one alone", async () => {
    const mesh = await openMesh(everywhere);
    await mesh.linkEverywhere(topic);
    const kinds = [
      { kind: "all", meshregions: undefined, regions: [...regionNames] },
      { kind: "west", meshregions: "cn-west", regions: ["cn-west"] },
      { kind: "east", meshregions: "cn-east", regions: ["cn-east"] },
      { kind: "idc", meshregions: "idc-1", regions: ["idc-1"] },
      { kind: "two", meshregions: "idc-1, cn-west", regions: ["cn-west", "idc-1"] },
    ];
    for (let round = 0; round < 20; round += 1)
      for (const region of [mesh.east, mesh.west])
        await region.publish(
          topic,
          ...kinds.map(({ kind, meshregions }) =>
            eventText(`${kind}-${region.region}-${round}`, meshregions ? { meshregions } : {}),
          ),
        );
    await closeWithLast(mesh);
    for (const region of mesh.all) {
      const events = await region.ids(topic);
      for (const name of senderNames) {
        const wanted = kinds.filter(
          ({ regions }) => name === region.region || regions.includes(region.region),
        );
        const rounds = Array.from({ length: 20 }, (_, round) => round);
        const expected = rounds.flatMap((round) =>
          wanted.map((of) => `${of.kind}-${name}-${round}`),
        );
        const found = events.filter((id) => homeOf(id) === name);
        expect(found, `${name} in ${region.region}`).toEqual([...expected, `last-${name}`]);
      }
    }
    // In 20 rounds and the last event: "all", the one that names the region, and "two" where it is one of them.
    await expectAudited(mesh.east, new Map([["cn-west", 41]]));
    await expectAudited(mesh.west, new Map([["cn-east", 61]]));
    await expectAudited(
      mesh.idc,
      new Map([
        ["cn-east", 61],
        ["cn-west", 61],
      ]),
    );
    for (const region of mesh.all) expect((await ledgerOf(region)).unknownRegions).toBe(0);
  });

  it("repairs what the receive-only region misses: it may ask", async () => {
    const mesh = await openMesh(everywhere);
    await mesh.linkEverywhere(topic);
    const ids: string[] = [];
    const publish = async (count: number): Promise<void> => {
      const more = Array.from({ length: count }, (_, at) => `${ids.length + at}-cn-east`);
      await mesh.east.publish(topic, ...more.map((id) => eventText(id)));
      ids.push(...more);
    };
    const account = async () => (await ledgerOf(mesh.idc)).replication[0];
    await publish(3);
    await vi.waitFor(async () => expect(await account()).toMatchObject({ sealed: 3 }), waiting);
    await mesh.idc.stop();
    const path = `persistent/${mesh.tenant}/mesh/${topic}`;
    const { entriesAddedCounter: before } = await topicEntries(servers.idc, path);
    await publish(40);
    await vi.waitFor(async () => {
      const { entriesAddedCounter } = await topicEntries(servers.idc, path);
      expect(entriesAddedCounter).toBeGreaterThan(before);
    }, waiting);
    await truncateTopic(servers.idc, path);
    await mesh.idc.start();
    await publish(5);
    await vi.waitFor(async () => {
      expect(await account()).toMatchObject({ sealed: ids.length, open: 0, lost: 0 });
      const here = new Set(await mesh.idc.ids(topic));
      expect(ids.slice(3).filter((id) => !here.has(id))).toEqual([]);
    }, waiting);
    expect((await account())?.repaired).toBeGreaterThan(0);
    expect((await ledgerOf(mesh.idc)).difference).toBe(0);
    // The copies are for the one that asked.
    expect(await mesh.west.ids(topic)).toEqual(ids);
    expect((await ledgerOf(mesh.west)).duplicates.replicated).toBe(0);
  });

  it("gives every acknowledged event to all three once when one of the clusters is killed and comes back in the middle", async () => {
    const mesh = await openMesh(everywhere);
    await mesh.linkEverywhere(topic);
    const posters = [mesh.east, mesh.west].map((region) => startPoster(region, topic));
    const [eastern] = posters;
    await untilMore(posters, 100);
    await servers.west.kill();
    await untilMore(eastern ? [eastern] : [], 200);
    await servers.west.restart();
    await untilMore(posters, 100);
    await Promise.all(posters.map((poster) => poster.stop()));
    for (const region of mesh.all) await expectAllOnce(region, topic, posters);
    for (const region of mesh.all)
      await vi.waitFor(async () => {
        const { replication } = await ledgerOf(region);
        expect(replication).not.toEqual([]);
        for (const account of replication)
          expect(account, region.region).toMatchObject({ open: 0, lost: 0 });
      }, waiting);
    await mesh.whenLinked(everyLink);
  });
});
