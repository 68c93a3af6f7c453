import { createLogger, seededChance, SimulatedClock } from "@fleetmesh/core";
import {
  encodeEvent,
  MemoryBroker,
  MemoryPulsarAdmin,
  MemoryPulsarClient,
  type OutgoingMessage,
} from "@fleetmesh/pulsar";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { agentEvents, sampleEntry, sampleEvent } from "./event-samples.ts";
import { readAll } from "./event-store-probe.ts";
import { openPulsarStore, type PulsarStore } from "../../cloud-runtime/src/store/pulsar-store.ts";

const topic = "vehicle.speed";
const deadline = (): AbortSignal => AbortSignal.timeout(5_000);

describe("the store on Pulsar", () => {
  let clock: SimulatedClock;
  let broker: MemoryBroker;
  let client: MemoryPulsarClient;
  let store: PulsarStore;

  const open = async (): Promise<void> => {
    client = new MemoryPulsarClient(broker);
    store = openPulsarStore({
      ...{ client, admin: new MemoryPulsarAdmin(broker), region: "cn-east", clock },
      ...{ chance: seededChance(2), startMsMax: 0 },
      logger: createLogger({ part: "test", level: "silent" }),
    });
    await store.part.start();
  };
  const ids = async (): Promise<string[]> =>
    (await readAll(store.events)).map(({ entry }) => entry.event.id);
  /** As another producer, or a message of ours that landed late. */
  const land = (...messages: OutgoingMessage[]): void => {
    for (const message of messages) broker.ensureLog(topic).append([message], clock.wallMs());
  };
  const ofAgent = (sequence: number): OutgoingMessage => {
    const origin = { region: "cn-east", agentId: "car-7", epoch: "00000000000000aa" };
    const { event, receivedMs } = sampleEntry(topic, sequence);
    return encodeEvent(event, { ...origin, eventClass: "normal", sequence, receivedMs });
  };

  beforeEach(async () => {
    clock = new SimulatedClock();
    broker = new MemoryBroker({ clock, chance: seededChance(1) });
    await open();
  });
  afterEach(() => store.part.stop(deadline()));

  it("gives a copy that landed late to nobody, and counts it", async () => {
    await store.events.appendFromAgent(agentEvents({ first: 1, last: 3 }));
    land(ofAgent(2), ofAgent(3));
    await store.events.appendFromAgent(agentEvents({ first: 4, last: 4 }));
    expect(await ids()).toEqual(["e1", "e2", "e3", "e4"]);
    expect((await store.events.ledger()).topics[topic]).toMatchObject({ stored: 4, duplicates: 2 });
    await store.part.stop(deadline());
    await open();
    expect(await ids()).toEqual(["e1", "e2", "e3", "e4"]);
  });

  it("keeps the watermark before a hole, and takes only what is missing", async () => {
    await store.events.appendFromAgent(agentEvents({ first: 1, last: 2 }));
    land(ofAgent(4), ofAgent(5));
    await clock.advance(2_000);
    const known = await store.events.watermarks("car-7", "00000000000000aa");
    expect(known.normal).toMatchObject({ sequence: 2, stored: 2 });
    const { watermark } = await store.events.appendFromAgent(agentEvents({ first: 3, last: 6 }));
    expect(watermark).toMatchObject({ sequence: 6, stored: 6 });
    expect((await ids()).sort()).toEqual(["e1", "e2", "e3", "e4", "e5", "e6"]);
  });

  it("takes CloudEvents of other producers for direct ones, and passes over what is none", async () => {
    const foreign = { ce_specversion: "1.0", ce_id: "f1", ce_source: "/x", ce_type: "t" };
    const told: string[] = [];
    await store.events.appendFromAgent(agentEvents({ first: 1, last: 1 }));
    await ids();
    store.events.onAppended((topics) => told.push(...topics));
    const payload = Buffer.from("{}");
    land(
      { payload, properties: { ...foreign, "content-type": "application/json" } },
      { payload: Buffer.from("no event"), properties: {} },
      { payload, properties: { ...foreign, "content-type": "application/json" } },
    );
    await clock.advance(10);
    expect(told).toContain(topic);
    expect(await ids()).toEqual(["e1", "f1"]);
    const again = sampleEvent("d1");
    await store.events.appendDirect({ topic, receivedMs: 1, events: [again] });
    expect((await store.events.ledger()).topics[topic]).toMatchObject({ direct: 2, stored: 3 });
  });

  it("lets one topic's trouble stop no other", async () => {
    await store.events.appendDirect({ topic, receivedMs: 1, events: [sampleEvent("a")] });
    broker.setDenied(topic, true);
    const denied = store.events.appendDirect({ topic, receivedMs: 1, events: [sampleEvent("b")] });
    await expect(denied).rejects.toMatchObject({ kind: "STORE_UNAVAILABLE", retryable: true });
    const other = { topic: "vehicle.door", receivedMs: 1, events: [sampleEvent("c")] };
    expect(await store.events.appendDirect(other)).toEqual({ stored: 1 });
    broker.setDenied(topic, false);
    await clock.advance(30_000);
    const retried = { topic, receivedMs: 1, events: [sampleEvent("b")] };
    expect(await store.events.appendDirect(retried)).toEqual({ stored: 1 });
  });

  it("does not start where another node has the fence, and goes on by itself when it lost it", async () => {
    const other = openPulsarStore({
      ...{ client: new MemoryPulsarClient(broker), admin: new MemoryPulsarAdmin(broker) },
      ...{ region: "cn-east", clock, chance: seededChance(3), startMsMax: 0 },
      logger: createLogger({ part: "test", level: "silent" }),
    });
    await expect(other.part.start()).rejects.toMatchObject({ kind: "PULSAR_FENCED" });
    await store.events.appendFromAgent(agentEvents({ first: 1, last: 3 }));
    broker.cut("_mesh.fence");
    await clock.advance(5_000);
    const { outcome } = await store.events.appendFromAgent(agentEvents({ first: 2, last: 5 }));
    expect(outcome).toBe("stored");
    expect(await ids()).toEqual(["e1", "e2", "e3", "e4", "e5"]);
  });

  it("counts as trimmed what the broker has taken against its orders", async () => {
    await store.events.appendFromAgent(agentEvents({ first: 1, last: 3 }));
    const [first] = await readAll(store.events);
    await clock.advance(3_600_000);
    await store.events.appendFromAgent(agentEvents({ first: 4, last: 5 }));
    await store.part.stop(deadline());
    const log = broker.ensureLog(topic);
    const third = log.messages[2];
    if (third) log.trimThrough(third.id);
    await open();
    expect(await ids()).toEqual(["e4", "e5"]);
    expect(await store.events.bounds(topic)).toMatchObject({ stored: 5, trimmed: 3 });
    const below = store.events.read(topic, first?.position ?? "", { countMax: 1, bytesMax: 1 });
    await expect(below).rejects.toMatchObject({ kind: "POSITION_TRIMMED" });
  });

  it("does not start where a message carries less than the doors take", async () => {
    await store.part.stop(deadline());
    const small = openPulsarStore({
      client: new MemoryPulsarClient(broker, 300_000),
      ...{ admin: new MemoryPulsarAdmin(broker), region: "cn-east", clock, opensLater: true },
      ...{ chance: seededChance(2), eventBytesMax: 262_144 },
      logger: createLogger({ part: "test", level: "silent" }),
    });
    const start = small.part.start();
    await expect(start).rejects.toMatchObject({
      kind: "CONFIG_INVALID",
      message: expect.stringContaining("up to 234464 bytes") as string,
    });
  });

  it("opens later when the broker is away at its start, and says until then why not", async () => {
    await store.events.appendFromAgent(agentEvents({ first: 1, last: 3 }));
    await store.part.stop(deadline());
    broker.setDown(true);
    store = openPulsarStore({
      ...{ client: new MemoryPulsarClient(broker), admin: new MemoryPulsarAdmin(broker) },
      ...{ region: "cn-east", clock, chance: seededChance(2), opensLater: true },
      logger: createLogger({ part: "test", level: "silent" }),
    });
    await store.part.start();
    expect(store.absence()).toContain("No broker answers");
    const told: string[] = [];
    store.events.onAppended((topics) => told.push(...topics));
    await expect(store.deliveries.cursors("s1")).rejects.toMatchObject({
      kind: "STORE_UNAVAILABLE",
    });
    broker.setDown(false);
    await clock.advance(10_000);
    expect(store.absence()).toBeUndefined();
    expect(told).toEqual([topic]);
    expect(await ids()).toEqual(["e1", "e2", "e3"]);
  });

  it("refuses an event that no message can carry before anything is sent", async () => {
    const large = sampleEvent("large", { data: Buffer.alloc(2_000_000) });
    const events = [sampleEvent("small"), large];
    const refused = store.events.appendDirect({ topic, receivedMs: 1, events });
    await expect(refused).rejects.toMatchObject({ kind: "EVENT_TOO_LARGE" });
    expect(await ids()).toEqual([]);
  });

  describe("over a network that takes its time", () => {
    /** Awaits what needs simulated time. */
    const during = async <Result>(promise: Promise<Result>): Promise<Result> => {
      const progress = { isDone: false };
      const watched = promise.finally(() => (progress.isDone = true));
      watched.catch(() => undefined);
      for (let waited = 0; waited < 10_000 && !progress.isDone; waited += 1) await clock.advance(5);
      return watched;
    };

    beforeEach(async () => {
      await store.part.stop(deadline());
      broker = new MemoryBroker({ clock, chance: seededChance(1), latencyMsMax: 100 });
      await during(open());
    });
    afterEach(() => during(store.part.stop(new AbortController().signal)));

    it("reads what was answered, also when the fold is behind", async () => {
      for (let sequence = 1; sequence <= 20; sequence += 1) {
        await during(
          store.events.appendFromAgent(agentEvents({ first: sequence, last: sequence })),
        );
        expect(await during(ids())).toHaveLength(sequence);
      }
    });

    it("makes no copy of what was stored and not acknowledged", async () => {
      await during(store.events.appendFromAgent(agentEvents({ first: 1, last: 1 })));
      for (let last = 2; last <= 20; last += 1) {
        const log = broker.ensureLog(topic);
        const before = log.messages.length;
        const attempt = { isRefused: false };
        const send = () => {
          attempt.isRefused = false;
          const sent = store.events.appendFromAgent(agentEvents({ first: last, last }));
          sent.catch(() => (attempt.isRefused = true));
          return sent;
        };
        let append = send();
        while (log.messages.length === before) {
          await clock.advance(1);
          // The connection that was cut last is not back yet.
          if (attempt.isRefused) append = send();
        }
        broker.cut(topic);
        let outcome = await during(append.then(({ outcome: one }) => one).catch(() => "failed"));
        while (outcome === "failed") {
          await clock.advance(50);
          const again = store.events.appendFromAgent(agentEvents({ first: last, last }));
          outcome = await during(again.then(({ outcome: one }) => one).catch(() => "failed"));
        }
        expect(log.messages).toHaveLength(last);
      }
      expect(await during(ids())).toHaveLength(20);
    });
  });
});
