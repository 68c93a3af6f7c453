import { createLogger, seededChance, SimulatedClock } from "@fleetmesh/core";
import { MemoryBroker, MemoryPulsarAdmin, MemoryPulsarClient } from "@fleetmesh/pulsar";
import { describe, expect, it } from "vitest";
import { StateLog } from "../src/store/pulsar/state-log.ts";

const signal = new AbortController().signal;

interface Owner {
  readonly log: StateLog;
  readonly client: MemoryPulsarClient;
  /** What the log gave at opening, and what was written since. */
  readonly table: Map<string, string>;
  readonly put: (values: Readonly<Record<string, string | undefined>>) => Promise<void>;
}

function brokerOf(seed = 1): MemoryBroker {
  return new MemoryBroker({ clock: new SimulatedClock(), chance: seededChance(seed) });
}

async function own(broker: MemoryBroker, messageBytesMax = 1_000_000): Promise<Owner> {
  const client = new MemoryPulsarClient(broker, messageBytesMax);
  const table = new Map<string, string>();
  const log = new StateLog({
    ...{ client, admin: new MemoryPulsarAdmin(broker), clock: broker.options.clock },
    ...{ topic: "_state", fenceTopic: "_fence", name: "owner" },
    logger: createLogger({ part: "test", level: "silent" }),
    valueOf: (key) => {
      const value = table.get(key);
      return value === undefined ? undefined : Buffer.from(value);
    },
  });
  await log.open(({ key, value }) => {
    if (value) table.set(key, Buffer.from(value).toString());
    else table.delete(key);
  }, signal);
  const put = async (values: Readonly<Record<string, string | undefined>>): Promise<void> => {
    const records = Object.entries(values).map(([key, value]) => {
      if (value === undefined) table.delete(key);
      else table.set(key, value);
      return { key, value: value === undefined ? undefined : Buffer.from(value) };
    });
    await log.write(records);
  };
  return { log, client, table, put };
}

const contentOf = ({ table }: Owner): Record<string, string> => Object.fromEntries(table);

describe("the state log", () => {
  it("gives back the last value of each key, and none of those taken away", async () => {
    const broker = brokerOf();
    const first = await own(broker);
    await first.put({ a: "1", b: "2", c: "3" });
    await first.put({ b: "20", c: undefined });
    await first.log.close();
    expect(contentOf(await own(broker))).toEqual({ a: "1", b: "20" });
  });

  it("lets one owner in at a time, and tells one that lost it", async () => {
    const broker = brokerOf();
    const first = await own(broker);
    await expect(own(broker)).rejects.toMatchObject({ kind: "PULSAR_FENCED" });
    broker.cut("_fence");
    expect(await first.log.lost).toBeInstanceOf(Error);
    await own(broker);
  });

  it("ends the writes of an owner that lost the fence and does not know yet", async () => {
    const broker = brokerOf();
    const first = await own(broker);
    await first.put({ a: "1" });
    broker.cut("_fence");
    const second = await own(broker);
    await expect(first.put({ a: "late" })).rejects.toThrow();
    await second.put({ b: "2" });
    await second.log.close();
    expect(contentOf(await own(broker))).toEqual({ a: "1", b: "2" });
  });

  it("leaves out what an owner of before wrote behind the beginning of the next one", async () => {
    const broker = brokerOf();
    const first = await own(broker);
    await first.put({ a: "1" });
    const log = broker.ensureLog("_state");
    const stale = { ...log.messages[log.messages.length - 1] } as (typeof log.messages)[number];
    await first.put({ a: "2" });
    await first.log.close();
    const second = await own(broker);
    await second.log.close();
    log.append([stale], 0);
    expect(contentOf(await own(broker))).toEqual({ a: "2" });
  });

  it("counts a write of several messages whole or not at all", async () => {
    const broker = brokerOf();
    const first = await own(broker, 3_000);
    const all = (value: string) =>
      Object.fromEntries(Array.from({ length: 20 }, (_, at) => [`k${at}`, value.repeat(400)]));
    await first.put(all("1"));
    const log = broker.ensureLog("_state");
    const whole = log.messages.length;
    await first.put(all("2"));
    await first.log.close();
    const parts = log.messages.slice(whole);
    expect(parts.length).toBeGreaterThan(3);
    for (let kept = 1; kept < parts.length; kept += 1) {
      const cut = brokerOf();
      const copy = cut.ensureLog("_state");
      for (const message of log.messages.slice(0, whole + kept)) copy.append([message], 0);
      expect(contentOf(await own(cut))).toEqual(all("1"));
    }
  });

  it("does not grow with its writes once the broker compacts it, and loses nothing by that", async () => {
    const broker = brokerOf();
    const first = await own(broker);
    await first.put({ once: "kept" });
    for (let round = 0; round < 4_000; round += 1)
      await first.put({ [`k${round % 50}`]: String(round) });
    const expected = contentOf(first);
    await first.log.close();
    const log = broker.ensureLog("_state");
    log.compact();
    const left = log.messages.filter((message) => !log.isSuperseded(message));
    expect(left.length).toBeLessThan(2_500);
    const second = await own(broker);
    expect(contentOf(second)).toEqual(expected);
    await second.log.close();
  });

  it("loses no complete write over crashes, broken sends and compactions", async () => {
    for (let seed = 1; seed <= 60; seed += 1) {
      const chance = seededChance(seed);
      const broker = brokerOf(seed);
      const durable = new Map<string, string>();
      let owner = await own(broker);
      for (let round = 0; round < 60; round += 1) {
        // What a failed write left is unknown; whoever is told of the failure writes again, as here.
        const values = Object.fromEntries(
          Array.from({ length: 1 + Math.floor(chance.float() * 4) }, () => [
            `k${Math.floor(chance.float() * 8)}`,
            chance.float() < 0.2 ? undefined : `${seed}.${round}`,
          ]),
        );
        const writing = owner.put(values).then(
          () => true,
          () => false,
        );
        const fault = chance.float();
        if (fault < 0.1) broker.cut("_state");
        if (fault > 0.8) broker.ensureLog("_state").compact();
        if (!(await writing)) await owner.put(values);
        for (const [key, value] of Object.entries(values)) {
          if (value === undefined) durable.delete(key);
          else durable.set(key, value);
        }
        if (fault > 0.1 && fault < 0.2) {
          owner.client.kill();
          await owner.log.close();
          owner = await own(broker);
          expect(contentOf(owner), `seed ${seed}`).toEqual(Object.fromEntries(durable));
        }
      }
    }
  });
});
