import { systemChance, systemClock } from "@fleetmesh/core";
import { BinaryPulsarClient, HttpPulsarAdmin, type MessageId } from "@fleetmesh/pulsar";
import { afterEach, beforeEach, describe, expect, inject, it } from "vitest";
import { limits, sendAll, texts, topic } from "../contract/pulsar-client-probe.ts";
import { adminCall, type PulsarAddress } from "../servers/pulsar-server.ts";
import { sharedPulsarMissing } from "../servers/shared-pulsar.ts";

const megabyte = 1024 * 1024;

describe.skipIf(sharedPulsarMissing() !== undefined)("the administration over REST", () => {
  let server: PulsarAddress;
  let place: { tenant: string; namespace: string };
  let admin: HttpPulsarAdmin;
  let client: BinaryPulsarClient;

  beforeEach(async () => {
    const pulsar = inject("pulsar");
    if ("missing" in pulsar) throw new Error(pulsar.missing);
    server = pulsar;
    place = { tenant: `t-${systemChance.hex64()}`, namespace: "mesh" };
    const at = { ...place, clock: systemClock, chance: systemChance };
    admin = new HttpPulsarAdmin({ url: server.webUrl, ...at });
    client = new BinaryPulsarClient({ url: server.brokerUrl, ...at });
    await admin.ensureNamespace([server.cluster]);
  });
  afterEach(async () => {
    await client.stop(AbortSignal.timeout(5_000));
    await admin.close();
  });

  const answer = async (path: string): Promise<unknown> => {
    const { text } = await adminCall(server, "GET", path);
    return text === "" ? undefined : JSON.parse(text);
  };
  const ofTopic = (part: string): Promise<unknown> =>
    answer(`persistent/${place.tenant}/mesh/${topic}/${part}`);

  it("makes tenant and namespace, as often as it is told, and turns Pulsar's own making of topics off", async () => {
    await admin.ensureNamespace([server.cluster]);
    expect(await answer(`tenants/${place.tenant}`)).toMatchObject({
      allowedClusters: [server.cluster],
    });
    const namespace = `namespaces/${place.tenant}/mesh`;
    expect(await answer(`${namespace}/replication`)).toEqual([server.cluster]);
    expect(await answer(`${namespace}/autoTopicCreation`)).toEqual({
      allowAutoTopicCreation: false,
    });
    const endless = { limitSize: -1, limitTime: -1 };
    const quotas = { destination_storage: endless, message_age: endless };
    expect(await answer(`${namespace}/backlogQuotaMap`)).toMatchObject(quotas);
    await expect(client.producer("misspelt", limits)).rejects.toMatchObject({
      kind: "TOPIC_UNKNOWN",
    });
    expect(await admin.topics()).toEqual([]);
  });

  it("makes topics with their policy in Pulsar's units, rounded up, and without end where none is given", async () => {
    const policy = {
      retentionMs: 90_001,
      retentionBytes: megabyte + 1,
      compactionBytes: 1_000_000,
      replicateTo: [server.cluster],
      properties: { schema: '{"type":"对象"}' },
    };
    await admin.ensureTopic(topic, policy);
    await admin.ensureTopic("_mesh.state", {});
    expect(await ofTopic("retention")).toEqual({ retentionTimeInMinutes: 2, retentionSizeInMB: 2 });
    expect(await ofTopic("compactionThreshold")).toBe(1_000_000);
    expect(await ofTopic("replication")).toEqual([server.cluster]);
    expect(await ofTopic("properties")).toEqual(policy.properties);
    expect(await admin.topics()).toEqual(["_mesh.state", topic]);
    expect(await admin.drift(topic, policy)).toEqual([]);
    const endless = `persistent/${place.tenant}/mesh/_mesh.state/retention`;
    expect(await answer(endless)).toEqual({ retentionTimeInMinutes: -1, retentionSizeInMB: -1 });
  });

  it("tells each drift, corrects it, and takes away what is not wanted any more", async () => {
    const before = {
      retentionMs: 60_000,
      compactionBytes: 5_000_000,
      properties: { a: "1", b: "2", own: "x" },
    };
    await admin.ensureTopic(topic, { ...before, replicateTo: [server.cluster] });
    const after = { retentionMs: 120_000, retentionBytes: megabyte, properties: { a: "", b: "3" } };
    expect(await admin.drift(topic, after)).toEqual([
      { field: "retentionMs", wanted: 120_000, found: 60_000 },
      { field: "retentionBytes", wanted: megabyte, found: undefined },
      { field: "compactionBytes", wanted: undefined, found: 5_000_000 },
      { field: "properties", wanted: { a: "", b: "3" }, found: { a: "1", b: "2", own: "x" } },
    ]);
    await admin.ensureTopic(topic, after);
    expect(await admin.drift(topic, after)).toEqual([]);
    expect(await ofTopic("properties")).toEqual({ b: "3", own: "x" });
    // Where a topic goes is the bridge's to say: a policy that is silent about it changes nothing.
    expect(await ofTopic("replication")).toEqual([server.cluster]);
  });

  it("finds the last message and the first one of a time, in a batch and alone, and none where there is none", async () => {
    await admin.ensureTopic(topic, {});
    expect(await admin.lastMessageId(topic)).toBeUndefined();
    expect(await admin.messageIdAt(topic, 0)).toBeUndefined();
    const producer = await client.producer(topic, limits);
    const batch = await sendAll(producer, texts("batch", 5));
    expect(await admin.lastMessageId(topic)).toEqual(batch[4]);
    expect(await admin.messageIdAt(topic, 0)).toEqual(batch[0]);
    await new Promise((resolve) => setTimeout(resolve, 20));
    const betweenMs = Date.now();
    const [single] = (await sendAll(producer, ["alone"])) as [MessageId];
    expect(await admin.messageIdAt(topic, betweenMs)).toEqual(single);
    expect(await admin.lastMessageId(topic)).toEqual(single);
    expect(await admin.messageIdAt(topic, Date.now() + 60_000)).toBeUndefined();
  });

  it("deletes a topic, also one that is used or not there, and knows nothing of it then", async () => {
    await admin.ensureTopic(topic, {});
    const producer = await client.producer(topic, limits);
    await admin.deleteTopic(topic);
    await admin.deleteTopic(topic);
    await producer.ended;
    expect(await admin.topics()).toEqual([]);
    const unknown = { kind: "TOPIC_UNKNOWN" };
    await expect(admin.lastMessageId(topic)).rejects.toMatchObject(unknown);
    await expect(admin.drift(topic, {})).rejects.toMatchObject(unknown);
    await expect(admin.compact(topic)).rejects.toMatchObject(unknown);
  });

  it("says whether the broker is healthy, and PULSAR_UNAVAILABLE when nobody answers", async () => {
    expect(await admin.isHealthy()).toBe(true);
    const at = { ...place, clock: systemClock };
    const nobody = new HttpPulsarAdmin({ url: "http://127.0.0.1:1", ...at });
    expect(await nobody.isHealthy()).toBe(false);
    await expect(nobody.topics()).rejects.toMatchObject({ kind: "PULSAR_UNAVAILABLE" });
    const either = new HttpPulsarAdmin({ url: `http://127.0.0.1:1,${server.webUrl}`, ...at });
    expect(await either.topics()).toEqual([]);
    await Promise.all([nobody.close(), either.close()]);
  });
});
