import { systemChance, systemClock } from "@fleetmesh/core";
import {
  BinaryPulsarClient,
  HttpPulsarAdmin,
  WebSocketPulsarClient,
  type OutgoingMessage,
  type PulsarProducer,
} from "@fleetmesh/pulsar";
import { afterEach, describe, expect, it } from "vitest";
import {
  limits,
  messageOf,
  read,
  soon,
  textOf,
  texts,
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

const at = { tenant: "bus", namespace: "geo", clock: systemClock, chance: systemChance };
const kinds: readonly Partial<OutgoingMessage>[] = [
  {},
  { replicateTo: [] },
  { replicateTo: ["cn-west"] },
];

/** Sends so many all at once, some to all clusters, some to none but the own, some to one. */
async function sendMixed(producer: PulsarProducer, count: number) {
  const all = texts(`event-${count}`, count);
  const kindOf = (index: number): Partial<OutgoingMessage> =>
    kinds[Math.floor(index / 7) % 3] ?? {};
  await Promise.all(all.map((text, index) => producer.send(messageOf(text, kindOf(index)))));
  return { all, abroad: all.filter((_, index) => kindOf(index).replicateTo?.length !== 0) };
}

async function enter(server: PulsarAddress): Promise<BinaryPulsarClient> {
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
    const socket = new WebSocketPulsarClient({ url: pair.east.wsUrl, ...at });
    open.push({ close: () => socket.stop(AbortSignal.timeout(5_000)) });
    const first = await sendMixed(producer, 300);
    const second = await sendMixed(await socket.producer(topic, limits), 100);
    expect(await textsOf(east, 400)).toEqual([...first.all, ...second.all]);
    const abroad = [...first.abroad, ...second.abroad];
    expect(await textsOf(west, abroad.length)).toEqual(abroad);

    const other = await enter(pair.west);
    const before = await west.producer(topic, { ...limits, name: "node" });
    await before.send(messageOf("west", { replicateTo: [] }));
    const taker = await other.producer(topic, { ...limits, name: "node", takeOver: true });
    await taker.send(messageOf("west again", { replicateTo: [] }));
    const latest = await west.reader(topic, { ...whole, after: "latest" });
    await producer.send(messageOf("still coming"));
    expect((await latest.next(1, soon())).map(textOf)).toEqual(["still coming"]);
  });
});
