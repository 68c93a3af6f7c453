import { systemChance, systemClock } from "@fleetmesh/core";
import { BinaryPulsarClient, HttpPulsarAdmin, type OutgoingMessage } from "@fleetmesh/pulsar";
import { afterEach, describe, expect, it } from "vitest";
import {
  limits,
  messageOf,
  read,
  soon,
  textOf,
  topic,
  whole,
} from "../contract/pulsar-client-probe.ts";
import { PulsarPair } from "../servers/pulsar-pair.ts";
import type { PulsarAddress } from "../servers/pulsar-server.ts";
import { sharedPulsarMissing } from "../servers/shared-pulsar.ts";

const open: { close: () => Promise<unknown> }[] = [];
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close();
});

async function enter(server: PulsarAddress): Promise<BinaryPulsarClient> {
  const at = { tenant: "bus", namespace: "geo", clock: systemClock, chance: systemChance };
  const admin = new HttpPulsarAdmin({ url: server.webUrl, ...at });
  const client = new BinaryPulsarClient({ url: server.brokerUrl, ...at });
  open.push(admin, { close: () => client.stop(AbortSignal.timeout(5_000)) });
  await admin.ensureNamespace(["cn-east", "cn-west"]);
  await admin.ensureTopic(topic, { replicateTo: ["cn-east", "cn-west"] });
  return client;
}

const textsOf = async (client: BinaryPulsarClient, count: number): Promise<string[]> => {
  const reader = await client.reader(topic, whole);
  return (await read(reader, count, AbortSignal.timeout(15_000))).map(textOf);
};

describe.skipIf(sharedPulsarMissing() !== undefined)("between two clusters", () => {
  it("each message goes where it says, also among others; and a take-over does not end replication", async () => {
    const pair = await PulsarPair.start();
    open.push(pair);
    await pair.replicate("bus/geo");
    const [east, west] = await Promise.all([enter(pair.east), enter(pair.west)]);
    const producer = await east.producer(topic, { ...limits, name: "node" });
    const kinds: Partial<OutgoingMessage>[] = [
      {},
      { replicateTo: [] },
      { replicateTo: ["cn-west"] },
    ];
    const sent = Array.from({ length: 300 }, (_, index) => `event-${index}`);
    const kindOf = (index: number): Partial<OutgoingMessage> =>
      kinds[Math.floor(index / 7) % 3] ?? {};
    await Promise.all(sent.map((text, index) => producer.send(messageOf(text, kindOf(index)))));
    expect(await textsOf(east, 300)).toEqual(sent);
    const abroad = sent.filter((_, index) => kindOf(index).replicateTo?.length !== 0);
    expect(await textsOf(west, abroad.length)).toEqual(abroad);

    const other = await enter(pair.west);
    const first = await west.producer(topic, { ...limits, name: "node" });
    await first.send(messageOf("west", { replicateTo: [] }));
    const second = await other.producer(topic, { ...limits, name: "node", takeOver: true });
    await second.send(messageOf("west again", { replicateTo: [] }));
    const latest = await west.reader(topic, { ...whole, after: "latest" });
    await producer.send(messageOf("still coming"));
    expect((await latest.next(1, soon())).map(textOf)).toEqual(["still coming"]);
  });
});
