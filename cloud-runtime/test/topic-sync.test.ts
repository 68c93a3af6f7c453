import { createLogger, MeshError, seededChance, SimulatedClock } from "@fleetmesh/core";
import { MemoryBroker, MemoryPulsarAdmin } from "@fleetmesh/pulsar";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { MemoryMetadata } from "../src/metadata/memory-metadata.ts";
import { TopicSync } from "../src/metadata/topic-sync.ts";
import { specPolicy } from "../src/store/pulsar/topic-policy.ts";

const spec = { name: "vehicle.speed", retentionMs: 60_000, retentionBytes: 4_000_000 };

describe("the topics of the metadata in Pulsar", () => {
  let clock: SimulatedClock;
  let broker: MemoryBroker;
  let admin: MemoryPulsarAdmin;
  let metadata: MemoryMetadata;
  let sync: TopicSync;
  let drift: string[];

  beforeEach(async () => {
    clock = new SimulatedClock();
    broker = new MemoryBroker({ clock, chance: seededChance(1) });
    admin = new MemoryPulsarAdmin(broker);
    metadata = new MemoryMetadata({ autoCreateTopics: true, topicDefaults: spec });
    drift = [];
    sync = new TopicSync({
      ...{ metadata, admin, clock, policyOf: specPolicy, lookEveryMs: 60_000 },
      onDrift: (topic, field) => drift.push(`${topic} ${field}`),
      logger: createLogger({ part: "test", level: "silent" }),
    });
    await sync.start();
  });
  afterEach(() => sync.stop());

  it("makes a topic, and changes it with the metadata, which is no drift", async () => {
    await metadata.putTopic(spec);
    await clock.advance(1);
    expect(await admin.drift(spec.name, specPolicy(spec))).toEqual([]);
    const longer = { ...spec, retentionMs: 120_000 };
    await metadata.putTopic(longer);
    await clock.advance(1);
    expect(await admin.drift(spec.name, specPolicy(longer))).toEqual([]);
    await clock.advance(300_000);
    expect(drift).toEqual([]);
  });

  it("finds what somebody else changed or deleted there, tells it and sets it right", async () => {
    await metadata.putTopic(spec);
    await clock.advance(1);
    await admin.ensureTopic(spec.name, { ...specPolicy(spec), retentionMs: 1 });
    await clock.advance(60_000);
    expect(drift).toEqual(["vehicle.speed retentionMs"]);
    await admin.deleteTopic(spec.name);
    await clock.advance(60_000);
    expect(drift).toEqual(["vehicle.speed retentionMs", "vehicle.speed missing"]);
    expect(await admin.drift(spec.name, specPolicy(spec))).toEqual([]);
  });

  it("keeps the topic's schema there, changes it, takes it away, and leaves what others keep", async () => {
    await metadata.putTopic({ ...spec, schema: "https://example.com/speed.json" });
    await clock.advance(1);
    await admin.ensureTopic(spec.name, { ...specPolicy(spec), properties: { team: "body" } });
    const has = async (schema: string): Promise<string[]> =>
      (
        await admin.drift(spec.name, { ...specPolicy(spec), properties: { schema, team: "body" } })
      ).map(({ field }) => field);
    expect(await has("https://example.com/speed.json")).toEqual([]);
    await metadata.putTopic(spec);
    await clock.advance(1);
    expect(await has("")).toEqual([]);
    expect(await has("https://example.com/speed.json")).toEqual(["properties"]);
    expect(drift).toEqual([]);
  });

  it("tries again what could not be done while the broker was away", async () => {
    broker.setDown(true);
    await metadata.putTopic(spec);
    await clock.advance(20_000);
    const away: unknown = await admin.drift(spec.name, {}).catch((error: unknown) => error);
    expect(MeshError.is(away, "PULSAR_UNAVAILABLE")).toBe(true);
    broker.setDown(false);
    await clock.advance(10_000);
    expect(await admin.drift(spec.name, specPolicy(spec))).toEqual([]);
  });
});
