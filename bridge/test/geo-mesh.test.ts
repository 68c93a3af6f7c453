import { createLogger, MeshError, seededChance, SimulatedClock } from "@fleetmesh/core";
import { Registry } from "prom-client";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createBridgeMetrics } from "../src/bridge-metrics.ts";
import { GeoMesh } from "../src/geo/geo-mesh.ts";
import type { GeoRegion } from "../src/geo/geo-region.ts";
import type { PlannedLink } from "../src/link-plan.ts";
import type { RegionLink } from "../src/region-link.ts";
import { MemoryReplication } from "./memory-replication.ts";

const topic = "vehicle.telemetry";
const reconcileMs = 1_000;
const graceMs = 60_000;

/** A region as its runtime answers: the position at any time is 7.3, and topics are made when they are admitted. */
class FakeRegion {
  readonly replication = new MemoryReplication();
  readonly admitted: string[] = [];
  isDown = false;
  cursorNow: string | undefined;
  readonly name: string;

  constructor(name: string) {
    this.name = name;
  }

  get link(): RegionLink {
    const answer = <Value>(value: () => Value): Promise<Value> =>
      this.isDown
        ? Promise.reject(new MeshError("LINK_UNAVAILABLE", `${this.name} is down`))
        : Promise.resolve(value());
    const state = { region: this.name, wants: [], topics: [], tag: "", nowMs: 0 };
    const refuse = (): Promise<never> => Promise.reject(new Error("not by Pulsar"));
    return {
      region: this.name,
      state: () => answer(() => state),
      positionAt: () => answer(() => "7.3.-1"),
      cursor: () => answer(() => ({ cursor: this.cursorNow, latest: "0.-1.-1" })),
      admit: (name) =>
        answer(() => {
          this.admitted.push(name);
          if (!this.replication.topics.has(name)) this.replication.addTopic(name);
        }),
      ...{ read: refuse, append: refuse, seal: refuse, close: () => Promise.resolve() },
    };
  }

  get region(): GeoRegion {
    const { replication } = this;
    return {
      ...{ region: this.name, cluster: `p-${this.name}`, replication },
      topics: () => Promise.resolve([...replication.topics.keys()]),
      address: () => Promise.resolve({ adminUrl: `http://${this.name}`, brokerUrl: "pulsar://x" }),
      ensureNamespace: () => Promise.resolve(),
      close: () => Promise.resolve(),
    };
  }
}

const link = (from: string, to: string): PlannedLink => ({ from, to, topic, sinceMs: 5 });
/** Of a policy, which asks for all that is kept. */
const whole = (from: string, to: string): PlannedLink => ({ from, to, topic, sinceMs: undefined });

describe("replication by Pulsar", () => {
  const leaving = new Set<string>();
  const unknown = new Set<string>();
  let clock: SimulatedClock;
  let registry: Registry;
  let mesh: GeoMesh;
  let regions: Record<"east" | "west" | "north", FakeRegion>;

  const open = (): GeoMesh => {
    registry = new Registry();
    const made = new GeoMesh({
      ...{ clock, chance: seededChance(1), reconcileMs, graceMs },
      logger: createLogger({ part: "test", level: "silent" }),
      metrics: createBridgeMetrics(registry, () => undefined),
      linkOf: (name) => regions[name as "east"].link,
      isKnown: (name) => !unknown.has(name),
      isLeaving: (name) => leaving.has(name),
    });
    for (const each of Object.values(regions)) made.add(each.region, each.link);
    return made;
  };
  const settle = (ms = 2 * reconcileMs): Promise<void> => clock.advance(ms);
  const clustersOf = (of: FakeRegion): string[] => of.replication.topics.get(topic)?.clusters ?? [];
  const drift = async (): Promise<number> => {
    const metric = await registry.getSingleMetric("fleetmesh_replication_drift_total")?.get();
    return (metric?.values ?? []).reduce((sum, { value }) => sum + value, 0);
  };

  beforeEach(() => {
    leaving.clear();
    unknown.clear();
    clock = new SimulatedClock();
    const [east, west, north] = [
      new FakeRegion("east"),
      new FakeRegion("west"),
      new FakeRegion("north"),
    ];
    regions = { east, west, north };
    for (const each of [east, west, north]) each.replication.addTopic(topic);
    mesh = open();
  });
  afterEach(async () => {
    const stopped = mesh.stop();
    await clock.advance(reconcileMs);
    await stopped;
  });

  it("sets a topic on its way only where it is wanted, from behind the place of the wish, and has it taken in there", async () => {
    const { east, west, north } = regions;
    mesh.want([link("east", "west")]);
    await settle();
    expect(east.replication.changes).toEqual([
      `${topic} prepared for p-west: behind 7.3.-1`,
      `${topic} to p-east,p-west`,
    ]);
    expect([clustersOf(west), clustersOf(north)]).toEqual([[], []]);
    expect([west.admitted, north.admitted]).toEqual([[topic], []]);
    expect([...east.replication.known.keys()]).toEqual(["p-west", "p-north"]);
    expect(east.replication.home).toEqual(["p-east", "p-west", "p-north"]);
    expect(mesh.links()).toMatchObject([
      { from: "east", to: "west", topic, kind: "pulsar", state: "up" },
    ]);
  });

  it("changes nothing as long as all is as it is wanted, also after a restart", async () => {
    const { east } = regions;
    mesh.want([link("east", "west"), whole("east", "north")]);
    await settle();
    const { length } = east.replication.changes;
    await settle(30 * reconcileMs);
    const stopped = mesh.stop();
    await settle();
    await stopped;
    mesh = open();
    mesh.want([link("east", "west"), whole("east", "north")]);
    await settle(30 * reconcileMs);
    expect(east.replication.changes).toHaveLength(length);
    expect(await drift()).toBe(0);
  });

  it("goes on where an embedded link had come, and from the oldest for a policy", async () => {
    const { east, west } = regions;
    west.cursorNow = "4.4.2";
    mesh.want([link("east", "west"), whole("east", "north")]);
    await settle();
    expect(east.replication.changes.slice(0, 2)).toEqual([
      `${topic} prepared for p-west: behind 4.4.2`,
      `${topic} prepared for p-north: earliest`,
    ]);
  });

  it("finds what was changed from outside, counts it, and sets it again from the last place that it saw", async () => {
    const { east } = regions;
    mesh.want([link("east", "west")]);
    await settle();
    east.replication.moveTo(topic, "p-west", { ledger: 9, entry: 20, batch: -1 });
    await settle();
    await east.replication.setClusters(topic, []);
    east.replication.known.set("p-west", { adminUrl: "http://elsewhere", brokerUrl: "" });
    await settle();
    expect(clustersOf(east)).toEqual(["p-east", "p-west"]);
    expect(east.replication.changes).toContain(`${topic} prepared for p-west: behind 9.20.-1`);
    expect(east.replication.known.get("p-west")?.adminUrl).toBe("http://west");
    expect(await drift()).toBe(2);
  });

  it("leaves other clusters of a topic alone", async () => {
    const { east } = regions;
    east.replication.addTopic(topic, ["p-east", "another"]);
    mesh.want([link("east", "west")]);
    await settle();
    expect(clustersOf(east)).toEqual(["p-east", "another", "p-west"]);
    mesh.want([]);
    await settle(2 * graceMs);
    expect(clustersOf(east)).toEqual(["p-east", "another"]);
  });

  it("is withdrawn when nobody has wanted it for the grace, and goes on there when somebody does again, also after a restart", async () => {
    const { east } = regions;
    mesh.want([link("east", "west")]);
    await settle();
    east.replication.moveTo(topic, "p-west", { ledger: 9, entry: 20, batch: -1 });
    mesh.want([]);
    await settle(graceMs / 2);
    expect(clustersOf(east)).toEqual(["p-east", "p-west"]);
    expect(mesh.links()).toMatchObject([{ state: "ending" }]);
    await settle(graceMs);
    expect([clustersOf(east), mesh.links()]).toEqual([[], []]);
    const stopped = mesh.stop();
    await settle();
    await stopped;
    mesh = open();
    mesh.want([link("east", "west")]);
    await settle();
    expect(clustersOf(east)).toEqual(["p-east", "p-west"]);
    expect(east.replication.changes).toContain(`${topic} prepared for p-west: behind 9.20.-1`);
  });

  it("misses nothing of a subscription that comes and goes within the grace", async () => {
    const { east } = regions;
    for (let round = 0; round < 5; round += 1) {
      mesh.want([link("east", "west")]);
      await settle(graceMs / 2);
      mesh.want([]);
      await settle(graceMs / 2);
    }
    mesh.want([link("east", "west")]);
    await settle();
    expect(east.replication.changes).toHaveLength(2);
  });

  it("withdraws what a bridge before had set, only after the grace and when both regions were asked", async () => {
    const { east } = regions;
    unknown.add("west");
    east.replication.addTopic(topic, ["p-east", "p-west"]);
    mesh.want([]);
    await settle(3 * graceMs);
    expect(clustersOf(east)).toEqual(["p-east", "p-west"]);
    unknown.delete("west");
    await settle(2 * graceMs);
    expect(clustersOf(east)).toEqual([]);
  });

  it("lets go of what a bridge had prepared before it died and nobody wants: it would keep events for ever", async () => {
    const { east } = regions;
    await east.replication.prepare(topic, "p-west", "earliest");
    mesh.want([]);
    await settle(2 * graceMs);
    expect(await east.replication.replicators(topic)).toEqual([]);
    expect(clustersOf(east)).toEqual([]);
  });

  it("sets what a bridge had prepared before it died, from the place that it had chosen", async () => {
    const { east } = regions;
    const place = { ledger: 1, entry: 2, batch: -1 };
    await east.replication.prepare(topic, "p-west", place);
    mesh.want([link("east", "west")]);
    await settle();
    expect(clustersOf(east)).toEqual(["p-east", "p-west"]);
    expect(east.replication.topics.get(topic)?.replicators.get("p-west")?.start).toEqual(place);
  });

  it("begins again where a broker lost the place between two steps", async () => {
    const { east } = regions;
    east.replication.isLoadedAnew = true;
    mesh.want([link("east", "west")]);
    await settle();
    const prepared = `${topic} prepared for p-west: behind 7.3.-1`;
    const set = `${topic} to p-east,p-west`;
    expect(east.replication.changes).toEqual([prepared, set, `${topic} to `, prepared, set]);
    expect(mesh.links()).toMatchObject([{ state: "up" }]);
  });

  it("begins at the wish where an embedded link came from a store that is no Pulsar", async () => {
    const { east, west } = regions;
    west.cursorNow = "4711";
    mesh.want([link("east", "west")]);
    await settle();
    expect(east.replication.changes).toContain(`${topic} prepared for p-west: behind 7.3.-1`);
  });

  it("frees a region that leaves at once, in both directions, and says so only when all is gone", async () => {
    const { east, west, north } = regions;
    mesh.want([link("east", "west"), link("west", "east"), link("north", "east")]);
    await settle();
    leaving.add("west");
    north.replication.isDown = true;
    mesh.want([link("north", "east")]);
    await settle(20 * reconcileMs);
    expect([clustersOf(east), clustersOf(west)]).toEqual([[], []]);
    expect(mesh.isFreeOf("west")).toBe(false);
    north.replication.isDown = false;
    await settle(20 * reconcileMs);
    expect(mesh.isFreeOf("west")).toBe(true);
    expect(clustersOf(north)).toEqual(["p-north", "p-east"]);
  });

  it("keeps no region waiting for another that is down, and catches up when it is back", async () => {
    const { east, west, north } = regions;
    east.replication.isDown = true;
    west.isDown = true;
    mesh.want([
      link("east", "north"),
      link("north", "east"),
      link("north", "west"),
      whole("west", "north"),
    ]);
    await settle(5 * reconcileMs);
    expect(clustersOf(north)).toEqual(["p-north", "p-east"]);
    expect(mesh.links()).toContainEqual(
      expect.objectContaining({ from: "north", to: "west", state: "waiting" }),
    );
    east.replication.isDown = false;
    west.isDown = false;
    await settle(30 * reconcileMs);
    expect(clustersOf(east)).toEqual(["p-east", "p-north"]);
    expect(clustersOf(north)).toEqual(["p-north", "p-east", "p-west"]);
    expect([east.admitted, west.admitted]).toEqual([[topic], [topic]]);
    expect(mesh.links().map(({ state }) => state)).toEqual(["up", "up", "up", "up"]);
  });

  it("has a topic made at its origin that nothing was published to yet", async () => {
    const { east } = regions;
    east.replication.topics.delete(topic);
    mesh.want([whole("east", "west")]);
    await settle();
    expect(east.admitted).toEqual([topic]);
    expect(clustersOf(east)).toEqual(["p-east", "p-west"]);
  });
});
