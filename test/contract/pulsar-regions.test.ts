import { createLogger, seededChance, SimulatedClock, type MeshEvent } from "@fleetmesh/core";
import {
  encodeEvent,
  MemoryBroker,
  MemoryPulsarAdmin,
  MemoryPulsarClient,
  type EventStamp,
} from "@fleetmesh/pulsar";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { agentEvents, sampleEntry, sampleEvent } from "./event-samples.ts";
import { readAll } from "./event-store-probe.ts";
import { openPulsarStore, type PulsarStore } from "../../cloud-runtime/src/store/pulsar-store.ts";

const topic = "vehicle.speed";
const deadline = (): AbortSignal => AbortSignal.timeout(5_000);

/** The store of cn-west, into whose topics the broker of cn-east replicates. */
describe("the store on Pulsar, with events of other regions", () => {
  let clock: SimulatedClock;
  let broker: MemoryBroker;
  let store: PulsarStore;

  const open = async (): Promise<void> => {
    store = openPulsarStore({
      ...{ client: new MemoryPulsarClient(broker), admin: new MemoryPulsarAdmin(broker) },
      ...{ region: "cn-west", clock, chance: seededChance(2), startMsMax: 0 },
      logger: createLogger({ part: "test", level: "silent" }),
    });
    await store.part.start();
  };
  const restart = async (): Promise<void> => {
    await store.part.stop(deadline());
    await open();
  };
  const ids = async (): Promise<string[]> =>
    (await readAll(store.events)).map(({ entry }) => entry.event.id);
  const land = (event: MeshEvent, stamp: Partial<EventStamp> = {}): void => {
    const message = encodeEvent(event, { region: "cn-east", sequence: 0, receivedMs: 1, ...stamp });
    const replicatedFrom = "cn-east";
    broker.ensureLog(topic).append([{ ...message, replicatedFrom }], clock.wallMs());
  };
  /** As the agent of `agentEvents` has it, by way of another region. */
  const landAgents = (...sequences: number[]): void => {
    for (const sequence of sequences) {
      const { event } = sampleEntry(topic, sequence);
      const of = { agentId: "car-7", epoch: "00000000000000aa", eventClass: "normal" } as const;
      land(event, { ...of, sequence });
    }
  };
  const counts = async () => (await store.events.ledger()).topics[topic];
  const settle = (): Promise<void> => clock.advance(2_000);

  beforeEach(async () => {
    clock = new SimulatedClock();
    broker = new MemoryBroker({ clock, chance: seededChance(1) });
    await open();
    await store.events.appendDirect({ topic, receivedMs: 1, events: [sampleEvent("first")] });
  });
  afterEach(() => store.part.stop(deadline()));

  it("counts them as replicated in and keeps where they entered the mesh", async () => {
    landAgents(1, 2);
    land(sampleEvent("d1"));
    await settle();
    const events = (await readAll(store.events)).slice(1);
    expect(events.map(({ origin }) => origin.region)).toEqual(["cn-east", "cn-east", "cn-east"]);
    expect(events[0]?.origin).toMatchObject({ agentId: "car-7", epoch: "00000000000000aa" });
    expect(await counts()).toMatchObject({ direct: 1, fromAgents: 0, replicated: 3, stored: 4 });
  });

  it("gives a copy out once, also when the broker sends again and after a restart", async () => {
    landAgents(1, 2, 3, 2, 3);
    land(sampleEvent("d1"));
    land(sampleEvent("d1"));
    await settle();
    await restart();
    landAgents(1, 3, 4);
    land(sampleEvent("d1"));
    await settle();
    expect(await ids()).toEqual(["first", "e1", "e2", "e3", "d1", "e4"]);
    expect(await counts()).toMatchObject({ replicated: 5, stored: 6, duplicates: 6 });
  });

  it("stores nothing twice of an agent that comes over with what came before it", async () => {
    landAgents(1, 2, 3);
    await settle();
    const { watermark } = await store.events.appendFromAgent(agentEvents({ first: 1, last: 5 }));
    expect(watermark.sequence).toBe(5);
    landAgents(4, 5, 6);
    await settle();
    expect(await ids()).toEqual(["first", "e1", "e2", "e3", "e4", "e5", "e6"]);
    expect(await counts()).toMatchObject({ fromAgents: 2, replicated: 4, duplicates: 5 });
    const known = await store.events.watermarks("car-7", "00000000000000aa");
    expect(known.normal).toMatchObject({ sequence: 5, stored: 5 });
  });

  it("never moves a watermark by what came from elsewhere", async () => {
    landAgents(1, 2, 3);
    await settle();
    expect(await store.events.watermarks("car-7", "00000000000000aa")).toEqual({});
    const ahead = await store.events.appendFromAgent(agentEvents({ first: 4, last: 5 }));
    expect(ahead).toMatchObject({ outcome: "ahead", watermark: { sequence: 0 } });
  });

  it("takes what an agent told as lost here when it comes from the region where it was left", async () => {
    const { agentId, epoch, eventClass } = agentEvents({ first: 1, last: 1 });
    const gap = { kind: "gap", first: 1, last: 3, reason: "damaged", topics: {} } as const;
    const left = { agentId, epoch, eventClass, first: 1, last: 3, runs: [gap] };
    await store.events.appendFromAgent(left);
    await store.events.appendFromAgent(agentEvents({ first: 4, last: 5 }));
    await settle();
    await restart();
    landAgents(2, 3, 4);
    await settle();
    expect(await ids()).toEqual(["first", "e4", "e5", "e2", "e3"]);
  });

  it("takes a direct publisher's resend in another region for one event", async () => {
    land(sampleEvent("d1"));
    await settle();
    const again = { topic, receivedMs: 2, events: [sampleEvent("d1"), sampleEvent("d2")] };
    expect(await store.events.appendDirect(again)).toEqual({ stored: 1 });
    land(sampleEvent("d2"));
    await settle();
    expect(await ids()).toEqual(["first", "d1", "d2"]);
  });

  it("knows an event again that a link brought, too", async () => {
    landAgents(1);
    const entry = (sequence: number) => {
      const { agentId, epoch, eventClass } = agentEvents({ first: 1, last: 1 });
      const origin = { region: "cn-east", agentId, epoch, eventClass };
      return { position: `p${sequence}`, entry: sampleEntry(topic, sequence), origin };
    };
    const cursors = { cursorBefore: undefined, cursorAfter: "p2" };
    const entries = [entry(1), entry(2)];
    await settle();
    await store.events.appendReplicated({ topic, originRegion: "cn-east", ...cursors, entries });
    landAgents(2, 3);
    await settle();
    expect(await ids()).toEqual(["first", "e1", "e2", "e3"]);
    expect(await store.events.replicationCursor("cn-east", topic)).toBe("p2");
  });

  it("gives out nothing of its own that comes back", async () => {
    land(sampleEvent("first"), { region: "cn-west" });
    land(sampleEvent("never-here"), { region: "cn-west" });
    await settle();
    expect(await ids()).toEqual(["first"]);
  });

  it("counts another producer's event for the region of its cluster", async () => {
    const properties = { ce_specversion: "1.0", ce_id: "x", ce_source: "/x", ce_type: "t" };
    const message = { payload: Buffer.from("1"), properties, replicatedFrom: "cn-east" };
    broker.ensureLog(topic).append([message], clock.wallMs());
    await settle();
    expect((await readAll(store.events))[1]?.origin.region).toBe("cn-east");
    expect(await counts()).toMatchObject({ direct: 1, replicated: 1 });
  });

  it("believes no other region's journal or state, should a policy bring them", async () => {
    await store.events.appendFromAgent(agentEvents({ first: 1, last: 2 }));
    const properties = {
      ...{ meshorigin: "cn-east", meshreceived: "1", meshagent: "car-7", meshjournal: "gap" },
      ...{ meshepoch: "00000000000000aa", meshclass: "1", meshsequence: "9" },
    };
    const payload = Buffer.from('{"first":3,"last":9,"reason":"evicted","topics":{}}');
    const gap = { payload, properties, replicatedFrom: "cn-east" };
    broker.ensureLog("_mesh.journal").append([gap], clock.wallMs());
    const state = { payload, properties: { meshpart: "999.1.0/1" }, replicatedFrom: "cn-east" };
    broker.ensureLog("_mesh.state").append([state], clock.wallMs());
    await settle();
    await restart();
    const known = await store.events.watermarks("car-7", "00000000000000aa");
    expect(known.normal?.sequence).toBe(2);
    expect(await ids()).toEqual(["first", "e1", "e2"]);
  });

  it("lets nothing of its own journal and state out, nor what a link brought", async () => {
    await store.events.appendFromAgent(agentEvents({ first: 1, last: 1 }));
    const entry = { position: "p1", entry: sampleEntry(topic, 0), origin: { region: "far" } };
    const cursors = { cursorBefore: undefined, cursorAfter: "p1" };
    const append = { topic, originRegion: "far", ...cursors, entries: [entry] };
    await store.events.appendReplicated(append);
    await settle();
    const abroad = (name: string) =>
      broker.ensureLog(name).messages.filter(({ replicateTo }) => replicateTo?.length !== 0);
    expect(abroad("_mesh.journal")).toEqual([]);
    expect(abroad("_mesh.state").filter(({ key }) => key !== "!probe")).toEqual([]);
    expect(abroad(topic).map(({ properties }) => properties["ce_id"])).toEqual(["first", "e1"]);
  });
});
