import { afterAll, beforeAll, describe, inject, it, onTestFinished } from "vitest";
import { eventually, limits, messageOf, topic } from "../contract/pulsar-client-probe.ts";
import { testPulsarClientContract } from "../contract/pulsar-client.contract.ts";
import { PulsarServer } from "../servers/pulsar-server.ts";
import { sharedPulsarMissing } from "../servers/shared-pulsar.ts";
import { openBinaryFixture } from "./binary-client-fixture.ts";
import { muteSockets } from "./cut-sockets.ts";

const missing = sharedPulsarMissing();

describe.skipIf(missing !== undefined)("on a shared broker", () => {
  const shared = () => {
    const server = inject("pulsar");
    if ("missing" in server) throw new Error(server.missing);
    return server;
  };
  testPulsarClientContract("binary", () => openBinaryFixture(shared()));

  it("gives name and fence of a process that stands still to the next one in seconds, and it loses them", async () => {
    const server = shared();
    const { open, admin, close } = await openBinaryFixture(server);
    onTestFinished(close);
    await admin.ensureTopic(topic, {});
    const [still, next] = [await open(), await open()];
    const named = { ...limits, name: "node" };
    const fence = await still.fence(topic, "node");
    const producer = await still.producer(topic, named);
    muteSockets(Number(new URL(server.brokerUrl).port));
    await eventually(() => next.fence(topic, "node"));
    await (await eventually(() => next.producer(topic, named))).send(messageOf("mine now"));
    await fence.lost;
    await producer.ended;
  });
});

describe.skipIf(missing !== undefined)("compressed, on a broker that is killed", () => {
  let server: PulsarServer;
  beforeAll(async () => {
    server = await PulsarServer.start({ name: "cn-east" });
  });
  afterAll(() => server.close());

  const open = async () => ({
    ...(await openBinaryFixture(server, { compression: "zlib" })),
    crash: async () => {
      await server.kill();
      await server.restart();
    },
  });
  testPulsarClientContract("binary, zlib", open);
});
