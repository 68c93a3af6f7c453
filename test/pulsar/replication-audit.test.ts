import { createLogger, systemChance, systemClock } from "@fleetmesh/core";
import type { EventStore, ReplicationAccount } from "@fleetmesh/cloud-runtime";
import { HttpPulsarAdmin, HttpReplicationAdmin, type OutgoingMessage } from "@fleetmesh/pulsar";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { sampleEvent } from "../contract/event-samples.ts";
import { readAll } from "../contract/event-store-probe.ts";
import { pulsarPairAddress, type PulsarPairAddress } from "../servers/pulsar-pair.ts";
import type { PulsarAddress } from "../servers/pulsar-server.ts";
import { sharedPulsarMissing } from "../servers/shared-pulsar.ts";
import { SuppressingClient } from "./suppressing-client.ts";
import { topicEntries, truncateTopic } from "./truncated-topic.ts";
import { openPulsarStore, type PulsarStore } from "../../cloud-runtime/src/store/pulsar-store.ts";

const topic = "vehicle.speed";
const waiting = { timeout: 60_000, interval: 200 };
const clusters = ["cn-east", "cn-west"];

const isOf = (names: ReadonlySet<string>) => (message: OutgoingMessage) =>
  names.has(message.properties["ce_id"] ?? "") && message.properties["meshrepaired"] === undefined;

describe.skipIf(sharedPulsarMissing() !== undefined)("the audit between two clusters", () => {
  let pair: PulsarPairAddress;
  let tenant: string;
  const suppressed = new Set<string>();
  const open: (() => Promise<unknown>)[] = [];

  beforeAll(async () => {
    pair = await pulsarPairAddress();
  });
  afterAll(() => pair.close());
  afterEach(async () => {
    suppressed.clear();
    for (const close of open.splice(0).reverse()) await close();
  });

  async function start(server: PulsarAddress): Promise<PulsarStore> {
    const at = { tenant, namespace: "mesh", clock: systemClock, chance: systemChance };
    const admin = new HttpPulsarAdmin({ url: server.webUrl, ...at });
    await admin.ensureNamespace(clusters);
    // As the bridge has it: topics stay at home unless they are told where to go, and so does what regions ask each other.
    const replication = new HttpReplicationAdmin({ url: server.webUrl, ...at });
    await replication.ensureHome(server.cluster, clusters);
    await admin.ensureTopic(topic, { replicateTo: clusters });
    open.push(() => replication.close());
    const store = openPulsarStore({
      client: new SuppressingClient({ url: server.brokerUrl, ...at }, isOf(suppressed)),
      ...{ admin, region: server.cluster, auditMs: 200, auditGraceMs: 1_000, flushMs: 200 },
      logger: createLogger({ part: "test", level: "silent" }),
    });
    await store.part.start();
    open.push(() => admin.close());
    open.push(() => store.part.stop(AbortSignal.timeout(10_000)));
    return store;
  }

  async function startBoth(): Promise<{ east: PulsarStore; west: PulsarStore }> {
    tenant = `t-${systemChance.hex64()}`;
    const [east, west] = [await start(pair.east), await start(pair.west)];
    // West hears of east before anything is missing.
    await publish(east.events, ids("first", 3));
    await vi.waitFor(
      async () => expect(await account(west.events)).toMatchObject({ sealed: 3 }),
      waiting,
    );
    return { east, west };
  }

  const publish = (store: EventStore, all: readonly string[], regions?: string) => {
    const extensions = regions === undefined ? [] : [["meshregions", regions] as const];
    const events = all.map((id) => sampleEvent(id, { extensions }));
    return store.appendDirect({ topic, receivedMs: 1, events });
  };
  const ids = (prefix: string, count: number) =>
    Array.from({ length: count }, (_, at) => `${prefix}-${at}`);
  const account = async (store: EventStore): Promise<ReplicationAccount | undefined> =>
    (await store.ledger()).replication?.[topic]?.["cn-east"];
  const idsIn = async (store: EventStore): Promise<string[]> =>
    (await readAll(store)).map(({ entry }) => entry.event.id);
  const repairedIn = async (store: EventStore): Promise<string[]> =>
    (await readAll(store))
      .filter(({ entry }) => entry.event.extensions.some(([name]) => name === "meshrepaired"))
      .map(({ entry }) => entry.event.id);

  it("finds events whose replication was suppressed, and has them sent again to that region alone", async () => {
    const { east, west } = await startBoth();
    for (const id of ["a-3", "a-4", "a-17", "b-0", "b-49"]) suppressed.add(id);
    await publish(east.events, ids("a", 50));
    await publish(east.events, ids("b", 50));
    await vi.waitFor(
      async () => expect(await account(west.events)).toMatchObject({ repaired: 5 }),
      waiting,
    );
    const all = [...ids("first", 3), ...ids("a", 50), ...ids("b", 50)];
    expect((await idsIn(west.events)).sort()).toEqual([...all].sort());
    expect((await repairedIn(west.events)).sort()).toEqual([...suppressed].sort());
    expect(await account(west.events)).toEqual({
      ...{ sealed: 103, arrived: 98, missing: 5, repaired: 5, lost: 0, open: 0 },
      ...{ extra: 0, differing: 0 },
    });
    // The copies lie in the origin's own log, too, where nobody is given them.
    expect(await idsIn(east.events)).toEqual(all);
    const { topics } = await east.events.ledger();
    expect(topics[topic]).toMatchObject({ direct: 103, stored: 103, duplicates: 0 });
    expect((await west.events.ledger()).topics[topic]).toMatchObject({ replicated: 103 });
  });

  it("finds what was taken from the receiver's topic before it was read", async () => {
    const { east, west } = await startBoth();
    await west.part.stop(AbortSignal.timeout(10_000));
    await publish(east.events, ids("gone", 40));
    const path = `persistent/${tenant}/mesh/${topic}`;
    const { entriesAddedCounter: before } = await topicEntries(pair.west, path);
    await publish(east.events, ids("gone", 40));
    const grown = async () =>
      expect((await topicEntries(pair.west, path)).entriesAddedCounter).toBeGreaterThanOrEqual(
        before + 2,
      );
    await vi.waitFor(grown, waiting);
    await truncateTopic(pair.west, path);
    const again = await start(pair.west);
    await publish(east.events, ids("later", 5));
    await vi.waitFor(
      async () => expect(await account(again.events)).toMatchObject({ repaired: 40, open: 0 }),
      waiting,
    );
    const readable = (await idsIn(again.events)).filter((id) => !id.startsWith("first"));
    expect(readable.sort()).toEqual([...ids("gone", 40), ...ids("later", 5)].sort());
    const { topics } = await again.events.ledger();
    expect(topics[topic]).toMatchObject({ replicated: 48, stored: 48 });
  });

  it("sends an event to the regions that it names, and misses none of the others there", async () => {
    const { east, west } = await startBoth();
    await publish(east.events, ids("home", 10), "cn-east");
    await publish(east.events, ids("there", 10), "cn-west, cn-moon");
    await publish(east.events, ids("moon", 10), "cn-moon");
    await publish(east.events, ids("all", 10));
    const wanted = [...ids("first", 3), ...ids("there", 10), ...ids("all", 10)];
    await vi.waitFor(async () => expect(await idsIn(west.events)).toEqual(wanted), waiting);
    const audited = { sealed: 23, arrived: 23, missing: 0, open: 0, extra: 0, differing: 0 };
    await vi.waitFor(
      async () => expect(await account(west.events)).toMatchObject(audited),
      waiting,
    );
    expect(await idsIn(east.events)).toHaveLength(43);
    expect((await east.events.ledger()).unknownRegions).toBe(20);
  });
});
