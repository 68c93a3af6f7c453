import { systemChance, systemClock } from "@fleetmesh/core";
import { BinaryPulsarClient } from "@fleetmesh/pulsar";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import {
  limits,
  messageOf,
  read,
  texts,
  textOf,
  topic,
  whole,
} from "../contract/pulsar-client-probe.ts";
import { testPulsarClientContract } from "../contract/pulsar-client.contract.ts";
import { PulsarServer } from "../servers/pulsar-server.ts";
import { sharedPulsar, sharedPulsarMissing } from "../servers/shared-pulsar.ts";
import { openWebSocketFixture } from "./websocket-client-fixture.ts";

const missing = sharedPulsarMissing();
const fenced = { kind: "PULSAR_FENCED" };

describe.skipIf(missing !== undefined)("on a broker that is killed", () => {
  let server: PulsarServer;
  beforeAll(async () => {
    server = await PulsarServer.start({ name: "cn-east" });
  });
  afterAll(() => server.close());

  testPulsarClientContract("websocket", async () => ({
    ...(await openWebSocketFixture(server, { silenceMsMax: 3_000 })),
    crash: async () => {
      await server.kill();
      await server.restart();
    },
  }));
});

describe("The WebSocket client", () => {
  it("and the binary one keep each other out of a fence and of a producer's name", async (context) => {
    const { server } = await sharedPulsar(context);
    const { open, admin, place, close } = await openWebSocketFixture(server);
    onTestFinished(close);
    await admin.ensureTopic(topic, {});
    const socket = await open();
    const [tenant = "", namespace = ""] = place.split("/");
    const at = { tenant, namespace, clock: systemClock, chance: systemChance };
    const binary = new BinaryPulsarClient({ url: server.brokerUrl, ...at });
    onTestFinished(() => binary.stop(AbortSignal.timeout(5_000)));
    const named = { ...limits, name: "node" };
    for (const [first, second] of [
      [socket, binary],
      [binary, socket],
      [socket, binary],
    ] as const) {
      const fence = await first.fence(topic, "node");
      const producer = await first.producer(topic, named);
      await expect(second.fence(topic, "node")).rejects.toMatchObject(fenced);
      await expect(second.producer(topic, named)).rejects.toMatchObject(fenced);
      await fence.release();
      await producer.close();
    }
  });

  it("reads what the binary one sent in batches, and the other way round", async (context) => {
    const { server } = await sharedPulsar(context);
    const { open, admin, place, close } = await openWebSocketFixture(server);
    onTestFinished(close);
    await admin.ensureTopic(topic, {});
    const socket = await open();
    const [tenant = "", namespace = ""] = place.split("/");
    const at = { tenant, namespace, clock: systemClock, chance: systemChance };
    const binary = new BinaryPulsarClient({ url: server.brokerUrl, compression: "zlib", ...at });
    onTestFinished(() => binary.stop(AbortSignal.timeout(5_000)));
    const sent: string[] = [];
    for (const [round, client] of [socket, binary, socket, binary].entries()) {
      const producer = await client.producer(topic, limits);
      const more = texts(`round-${round}`, 100);
      await Promise.all(more.map((text) => producer.send(messageOf(text, { key: "k" }))));
      sent.push(...more);
    }
    const [one, other] = await Promise.all(
      [socket, binary].map(async (client) => read(await client.reader(topic, whole), sent.length)),
    );
    expect(one?.map(textOf)).toEqual(sent);
    expect(one?.map(({ id, key }) => ({ id, key }))).toEqual(
      other?.map(({ id, key }) => ({ id, key })),
    );
    const middle = one?.[137];
    if (middle === undefined) throw new Error("no message");
    for (const client of [socket, binary]) {
      const reader = await client.reader(topic, { ...whole, after: middle.id });
      expect((await read(reader, 3)).map(textOf)).toEqual(sent.slice(138, 141));
    }
  });

  it("loses a fence that the server holds in name only, and keeps one that it really has", async (context) => {
    const { server } = await sharedPulsar(context);
    const { open, admin, close } = await openWebSocketFixture(server, { beatMs: 300 });
    onTestFinished(close);
    for (const name of [topic, "other"]) await admin.ensureTopic(name, {});
    const client = await open();
    const [fence, kept] = [await client.fence(topic, "node"), await client.fence("other", "node")];
    let isKept = true;
    void kept.lost.then(() => (isKept = false));
    const hasBeat = async (): Promise<boolean> => (await admin.lastMessageId(topic)) !== undefined;
    await expect.poll(hasBeat, { timeout: 20_000 }).toBe(true);
    // The server tells its own consumer that it is no more, and nobody else: our connection stays open.
    await admin.deleteTopic(topic);
    expect(await fence.lost).toMatchObject({ kind: "PULSAR_UNAVAILABLE" });
    expect(isKept).toBe(true);
    expect(await admin.lastMessageId("other")).toBeDefined();
  });
});
