import { createLogger, MeshError, seededChance, SimulatedClock } from "@fleetmesh/core";
import { MemoryBroker, MemoryPulsarAdmin, MemoryPulsarClient } from "@fleetmesh/pulsar";
import { beforeEach, describe, expect, it } from "vitest";
import type {
  Cursor,
  DeadLetter,
  DeliveryCommit,
  DeliveryRecord,
} from "../src/store/delivery-store.ts";
import { DeliveryLog } from "../src/store/pulsar/delivery-log.ts";
import { SettledLetters } from "../src/store/pulsar/settled-letters.ts";
import { Tenure } from "../src/store/pulsar/tenure.ts";
import { sampleEvent } from "./subscription-samples.ts";

const topic = "vehicle.speed";
const log = "_mesh.deliveries";
const signal = new AbortController().signal;
const nothing: DeliveryCommit = {
  ...{ cursors: [], retries: [], retriesDone: [], deadLetters: [], records: [] },
};

function cursor(subscription: string, position: string): Cursor {
  const counts = { delivered: 1, filtered: 0, expired: 0, deadLettered: 0, trimmed: 0, damaged: 0 };
  return { subscription, topic, start: "0.-1.-1", position, ahead: ["7.8.-1", "7.9.0"], counts };
}

function letter(number: number, subscription = "s1"): DeadLetter {
  const event = sampleEvent({ id: `e${number}` });
  const origin = { region: "cn-east" };
  return {
    ...{ id: `letter-${number}`, subscription, topic, position: `1.${number}.-1` },
    ...{ atMs: 1_000 + number, reason: "410 gone", attempts: [], origin },
    entry: { topic, sequence: 0, receivedMs: 5, event },
  };
}

function record(number: number, more: Partial<DeliveryRecord> = {}): DeliveryRecord {
  return {
    ...{ subscription: "s1", topic, position: `1.${number}.-1`, outcome: "delivered" },
    ...{ attempts: 1, atMs: 1_000_000 + number, durationMs: 3 },
    ...more,
  };
}

describe("the delivery log on Pulsar", () => {
  let clock: SimulatedClock;
  let broker: MemoryBroker;
  let client: MemoryPulsarClient;
  let deliveries: DeliveryLog;
  let compactions: number;
  let tenure: Tenure;

  class CountingAdmin extends MemoryPulsarAdmin {
    override compact(name: string): Promise<void> {
      compactions += 1;
      return super.compact(name);
    }
  }

  const open = async (): Promise<void> => {
    client = new MemoryPulsarClient(broker);
    deliveries = new DeliveryLog({
      ...{ client, admin: new CountingAdmin(broker), clock, chance: seededChance(2) },
      ...{ name: "mesh-cn-east", sendTimeoutMs: 15_000, segmentCountMax: 10 },
      ...{ bounds: { recordsMax: 600, recordMs: 1e15 }, compactionBytes: 40_000, tenure },
      settledLetters: new SettledLetters(100),
      logger: createLogger({ part: "test", level: "silent" }),
    });
    await deliveries.open(signal);
  };
  const commit = (part: Partial<DeliveryCommit>) => deliveries.commit({ ...nothing, ...part });
  const restart = async (): Promise<void> => {
    await deliveries.close();
    client.kill();
    await open();
  };
  const ids = async (): Promise<string[]> =>
    (await deliveries.deadLetters({ limit: 1_000 })).map(({ id }) => id);
  const topics = (): string[] =>
    [...broker.logs.keys()].filter((name) => name.includes("dead-letters")).sort();

  beforeEach(async () => {
    clock = new SimulatedClock();
    broker = new MemoryBroker({ clock, chance: seededChance(1) });
    tenure = new Tenure();
    compactions = 0;
    await open();
  });

  it("loses no commit that it answered, over broken connections and deaths", async () => {
    for (let seed = 1; seed <= 12; seed += 1) {
      broker = new MemoryBroker({ clock, chance: seededChance(seed) });
      const chance = seededChance(seed);
      await open();
      let answered = 0;
      for (let round = 1; round <= 40; round += 1) {
        const part = {
          cursors: [cursor("s1", `1.${round}.-1`)],
          deadLetters: [letter(round)],
          records: [record(round)],
        };
        const writing = commit(part).then(
          () => true,
          () => false,
        );
        const fault = chance.float();
        if (fault < 0.15) broker.cut(log);
        else if (fault < 0.3) broker.cut(topics().at(-1) ?? "");
        // As the dispatcher does it: the same again until it is answered.
        let isDone = await writing;
        while (!isDone) {
          await clock.advance(1_000);
          isDone = await commit(part).then(
            () => true,
            () => false,
          );
        }
        answered = round;
        if (fault < 0.8) continue;
        await restart();
        expect(deliveries.state.cursors.cursors("s1")).toEqual([cursor("s1", `1.${answered}.-1`)]);
        expect(await ids(), `seed ${seed}`).toHaveLength(answered);
      }
      const found = Array.from({ length: answered }, (_, at) => `letter-${at + 1}`);
      expect(await ids(), `seed ${seed}`).toEqual(found);
      for (let round = 1; round <= answered; round += 1)
        expect(deliveries.state.records.find(topic, `1.${round}.-1`)).toEqual([record(round)]);
      await deliveries.close();
    }
  });

  it("shows of a commit that failed either all or nothing", async () => {
    for (let seed = 1; seed <= 30; seed += 1) {
      broker = new MemoryBroker({ clock, chance: seededChance(seed) });
      await open();
      await commit({ cursors: [cursor("s1", "1.1.-1")] });
      const part = { cursors: [cursor("s1", "1.2.-1")], deadLetters: [letter(1)] };
      const failed = commit(part).catch(() => undefined);
      broker.cut(log);
      await failed;
      await clock.advance(5_000);
      const isThere = deliveries.state.cursors.cursors("s1")[0]?.position === "1.2.-1";
      expect(await ids()).toHaveLength(isThere ? 1 : 0);
      await deliveries.close();
    }
  });

  it("deletes a topic of dead letters when all in it are settled, also after a start", async () => {
    for (let number = 1; number <= 35; number += 1) await commit({ deadLetters: [letter(number)] });
    expect(topics()).toHaveLength(4);
    const first = Array.from({ length: 20 }, (_, at) => `letter-${at + 1}`);
    expect(await deliveries.settle(first, "redriven")).toBe(20);
    await clock.advance(1);
    expect(topics()).toHaveLength(2);
    expect(await ids()).toHaveLength(15);
    broker.ensureLog("_mesh.dead-letters-000001");
    await restart();
    await clock.advance(1);
    expect(topics()).toEqual(["_mesh.dead-letters-000003", "_mesh.dead-letters-000004"]);
    expect(await ids()).toHaveLength(15);
    const page = await deliveries.deadLetters({ after: "letter-25", limit: 3 });
    expect(page.map(({ id }) => id)).toEqual(["letter-26", "letter-27", "letter-28"]);
  });

  it("goes on paging behind a dead letter that was settled", async () => {
    const deadLetters = Array.from({ length: 300 }, (_, at) => letter(at, at % 2 ? "s1" : "s2"));
    await commit({ deadLetters });
    for (let page = 0; ; page += 1) {
      const found = await deliveries.deadLetters({ subscription: "s1", limit: 50 });
      const last = found.at(-1);
      if (!last) break;
      await deliveries.settle(
        found.map(({ id }) => id),
        "discarded",
      );
      const after = await deliveries.deadLetters({ after: last.id, limit: 1 });
      if (page < 2) expect(after[0]?.atMs).toBe(last.atMs + 1);
    }
    expect(await ids()).toHaveLength(150);
    expect(deliveries.state.cursors.settled()).toEqual([
      { subscription: "s1", redriven: 0, discarded: 150 },
    ]);
  });

  it("keeps the newest records, for their time, and none of a subscription that was forgotten", async () => {
    for (let number = 0; number < 2_000; number += 5)
      await commit({ records: [0, 1, 2, 3, 4].map((at) => record(number + at)) });
    expect(deliveries.state.records.find(topic, "1.5.-1")).toEqual([]);
    expect(deliveries.state.records.find(topic, "1.1999.-1")).toHaveLength(1);
    await commit({ records: [record(1_999, { subscription: "s2" })] });
    await deliveries.forget("s1");
    await commit({ records: [record(3_000)] });
    await restart();
    expect(deliveries.state.records.find(topic, "1.1999.-1")).toEqual([
      record(1_999, { subscription: "s2" }),
    ]);
    expect(deliveries.state.records.find(topic, "1.3000.-1")).toEqual([record(3_000)]);
  });

  it("has its log compacted in time, and reads the same after it", async () => {
    await commit({ cursors: [cursor("quiet", "1.1.-1")], deadLetters: [letter(1)] });
    for (let round = 0; round < 3_000; round += 1)
      await commit({ cursors: [cursor(`s${round % 40}`, `1.${round}.-1`)] });
    expect(compactions).toBeGreaterThan(2);
    const kept = broker.ensureLog(log);
    const left = kept.messages.filter((message) => !kept.isSuperseded(message));
    expect(left.length).toBeLessThan(2_500);
    await restart();
    expect(deliveries.state.cursors.cursors("quiet")).toEqual([cursor("quiet", "1.1.-1")]);
    expect(deliveries.state.cursors.cursors("s7")).toEqual([cursor("s7", "1.2967.-1")]);
    expect(await ids()).toEqual(["letter-1"]);
  });

  it("tells when another node had the state since, and not when nobody had", async () => {
    let told = 0;
    tenure.onInterrupted(() => (told += 1));
    await restart();
    broker.cut(log);
    await commit({ cursors: [cursor("s1", "1.1.-1")] }).catch(() => undefined);
    await clock.advance(5_000);
    expect(told).toBe(0);
    const own = tenure;
    tenure = new Tenure();
    await restart();
    tenure = own;
    await restart();
    expect(told).toBe(1);
  });

  it("refuses what comes behind its end", async () => {
    await deliveries.close();
    const error: unknown = await commit({ cursors: [cursor("s1", "1.1.-1")] }).catch(
      (thrown: unknown) => thrown,
    );
    expect(MeshError.is(error, "STOPPING")).toBe(true);
  });
});
