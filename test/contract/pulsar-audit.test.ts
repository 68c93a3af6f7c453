import { createLogger, seededChance, SimulatedClock } from "@fleetmesh/core";
import {
  MemoryBroker,
  MemoryPulsarAdmin,
  MemoryPulsarClient,
  type LandingMessage,
} from "@fleetmesh/pulsar";
import type { ReplicationAccount } from "@fleetmesh/cloud-runtime";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { sampleEvent } from "./event-samples.ts";
import { readAll } from "./event-store-probe.ts";
import { openPulsarStore, type PulsarStore } from "../../cloud-runtime/src/store/pulsar-store.ts";

const topic = "vehicle.speed";
const clusters = ["cn-east", "cn-west"];
const deadline = (): AbortSignal => AbortSignal.timeout(5_000);

/** Of a broker whose topics all go to both clusters, as long as `clusters` says so. */
class PolicyAdmin extends MemoryPulsarAdmin {
  clusters: readonly string[] = clusters;

  override replicatedTo(): Promise<readonly string[]> {
    return Promise.resolve(this.clusters);
  }
}

class Region {
  readonly name: string;
  readonly broker: MemoryBroker;
  readonly admin: PolicyAdmin;
  readonly #clock: SimulatedClock;
  store: PulsarStore;
  pace = { auditMs: 500, auditGraceMs: 2_000, flushMs: 1_000 };

  constructor(name: string, clock: SimulatedClock) {
    this.name = name;
    this.#clock = clock;
    this.broker = new MemoryBroker({ clock, chance: seededChance(1) });
    this.admin = new PolicyAdmin(this.broker);
    this.store = this.#open();
  }

  async restart(): Promise<void> {
    await this.store.part.stop(deadline());
    this.store = this.#open();
    await this.store.part.start();
  }

  async publish(...ids: string[]): Promise<void> {
    const events = ids.map((id) => sampleEvent(id));
    await this.store.events.appendDirect({ topic, receivedMs: 1, events });
  }

  async ids(): Promise<string[]> {
    return (await readAll(this.store.events)).map(({ entry }) => entry.event.id);
  }

  async account(origin: string): Promise<ReplicationAccount | undefined> {
    return (await this.store.events.ledger()).replication?.[topic]?.[origin];
  }

  #open(): PulsarStore {
    return openPulsarStore({
      ...{ client: new MemoryPulsarClient(this.broker), admin: this.admin, region: this.name },
      ...{ clock: this.#clock, chance: seededChance(2), startMsMax: 0 },
      ...this.pace,
      logger: createLogger({ part: "test", level: "silent" }),
    });
  }
}

describe("the audit of replication", () => {
  let clock: SimulatedClock;
  let east: Region;
  let west: Region;
  /** What of a message becomes another, or undefined where it is dropped. */
  let change: (message: LandingMessage) => LandingMessage | undefined;
  const places = new Map<string, number>();

  const idOf = ({ properties }: LandingMessage): string => properties["ce_id"] ?? "";
  const drop =
    (...ids: string[]) =>
    (message: LandingMessage): LandingMessage | undefined =>
      ids.includes(idOf(message)) && message.properties["meshrepaired"] === undefined
        ? undefined
        : message;

  const carry = (from: Region, to: Region): void => {
    for (const [name, log] of from.broker.logs) {
      const key = `${from.name} ${name}`;
      for (const message of log.messages.slice(places.get(key) ?? 0)) {
        const { payload, properties, key: messageKey, replicateTo } = message;
        const isFor = replicateTo === undefined || replicateTo.includes(to.name);
        if (!isFor || message.replicatedFrom !== undefined) continue;
        const copy = { payload, properties, key: messageKey, replicatedFrom: from.name };
        const changed = from === east ? change(copy) : copy;
        if (changed) to.broker.ensureLog(name).append([changed], clock.wallMs());
      }
      places.set(key, log.messages.length);
    }
  };
  const pass = async (ms: number): Promise<void> => {
    for (let left = ms; left > 0; left -= 100) {
      await clock.advance(100);
      carry(east, west);
      carry(west, east);
    }
  };

  beforeEach(async () => {
    clock = new SimulatedClock();
    places.clear();
    change = (message) => message;
    east = new Region("cn-east", clock);
    west = new Region("cn-west", clock);
    for (const { store } of [east, west]) {
      await store.part.start();
      await store.events.admit?.(topic);
    }
    await east.publish("a1", "a2");
    await pass(3_000);
  });
  afterEach(async () => {
    for (const { store } of [east, west]) await store.part.stop(deadline());
  });

  it("finds what did not come, asks for it and takes it, flagged and once", async () => {
    change = drop("b2", "b3");
    await east.publish("b1", "b2", "b3", "b4");
    await pass(2_000);
    expect(await west.account("cn-east")).toMatchObject({ missing: 0, open: 2 });
    await pass(5_000);
    expect(await west.ids()).toEqual(["a1", "a2", "b1", "b4", "b2", "b3"]);
    expect(await west.account("cn-east")).toEqual({
      ...{ sealed: 6, arrived: 4, missing: 2, repaired: 2, lost: 0, open: 0 },
      ...{ extra: 0, differing: 0 },
    });
    const repaired = (await readAll(west.store.events)).slice(-2);
    for (const { entry, origin } of repaired) {
      expect(entry.event.extensions).toContainEqual(["meshrepaired", true]);
      expect(origin.region).toBe("cn-east");
    }
  });

  it("counts as lost for good what the origin's retention has taken, and asks no more", async () => {
    change = drop("b1");
    await east.publish("b1", "b2");
    const log = east.broker.ensureLog(topic);
    const first = log.messages.find((message) => idOf(message) === "b1");
    if (first === undefined) throw new Error("b1 is not there");
    await clock.advance(100);
    log.trimThrough(first.id);
    places.set(`cn-east ${topic}`, 0);
    await pass(10_000);
    expect(await west.account("cn-east")).toMatchObject({ missing: 1, lost: 1, open: 0 });
    const asked = west.broker.ensureLog("_mesh.asks").messages.length;
    await pass(100_000);
    expect(west.broker.ensureLog("_mesh.asks").messages).toHaveLength(asked);
  });

  it("finds a run that was lost whole, by the seal that is told again at rest", async () => {
    change = () => undefined;
    await east.restart();
    await east.publish("b1", "b2");
    await pass(4_000);
    change = (message) => message;
    await pass(30_000);
    expect((await west.ids()).sort()).toEqual(["a1", "a2", "b1", "b2"]);
    expect(await west.account("cn-east")).toMatchObject({ repaired: 2, open: 0, lost: 0 });
  });

  it("goes on where it was when either node starts anew", async () => {
    change = drop("b2");
    await east.publish("b1", "b2");
    await pass(1_500);
    await west.restart();
    await east.restart();
    await pass(30_000);
    expect(await west.ids()).toEqual(["a1", "a2", "b1", "b2"]);
    expect(await west.account("cn-east")).toMatchObject({ sealed: 4, missing: 1, repaired: 1 });
  });

  it("gives up what nobody answers for, and tells it as lost", async () => {
    change = drop("b1");
    await east.publish("b1", "b2");
    await pass(1_000);
    await east.store.part.stop(deadline());
    await pass(30_000);
    expect(await west.account("cn-east")).toMatchObject({ missing: 1, open: 1 });
    west.pace = { auditMs: 600_000, auditGraceMs: 2_000, flushMs: 600_000 };
    await west.restart();
    for (let hour = 0; hour < 60; hour += 1) {
      await clock.advance(3_600_000);
      await pass(100);
    }
    expect(await west.account("cn-east")).toMatchObject({ missing: 1, lost: 1, open: 0 });
    expect(west.broker.ensureLog("_mesh.asks").messages.length).toBeLessThan(60);
    await east.restart();
  });

  it("tells a range whose events came changed", async () => {
    change = (message) =>
      idOf(message) === "b2"
        ? { ...message, properties: { ...message.properties, ce_id: "other" } }
        : message;
    await east.publish("b1", "b2", "b3");
    await pass(5_000);
    expect(await west.account("cn-east")).toMatchObject({ sealed: 5, missing: 0, differing: 1 });
  });

  it("misses nothing of the time in which a topic did not go there", async () => {
    change = () => undefined;
    east.admin.clusters = ["cn-east"];
    await pass(40_000);
    await east.publish("b1", "b2");
    await pass(40_000);
    await east.publish("b3");
    east.admin.clusters = clusters;
    await pass(60_000);
    change = (message) => message;
    await east.publish("c1", "c2");
    await pass(60_000);
    const ids = await west.ids();
    expect(ids.slice(0, 2)).toEqual(["a1", "a2"]);
    expect(ids.slice(-2)).toEqual(["c1", "c2"]);
    expect(ids).not.toContain("b1");
    expect(await west.account("cn-east")).toMatchObject({ open: 0, lost: 0, extra: 0 });
  });

  it("answers the same ask as often as it comes, and gives nothing out twice", async () => {
    change = drop("b1");
    await east.publish("b1", "b2");
    await pass(10_000);
    const [ask] = west.broker.ensureLog("_mesh.asks").messages;
    if (!ask) throw new Error("nothing was asked");
    const { payload, properties } = ask;
    const again = { payload, properties, replicatedFrom: "cn-west" };
    for (let time = 0; time < 3; time += 1) {
      east.broker.ensureLog("_mesh.asks").append([again], clock.wallMs());
      await pass(3_000);
    }
    expect(await west.ids()).toEqual(["a1", "a2", "b2", "b1"]);
    expect(await east.ids()).toEqual(["a1", "a2", "b1", "b2"]);
    expect((await east.store.events.ledger()).topics[topic]).toMatchObject({
      ...{ direct: 4, stored: 4, duplicates: 0 },
    });
  });
});
