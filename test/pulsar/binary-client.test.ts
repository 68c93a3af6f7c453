import { afterAll, beforeAll, describe, inject } from "vitest";
import { testPulsarClientContract } from "../contract/pulsar-client.contract.ts";
import { PulsarServer } from "../servers/pulsar-server.ts";
import { sharedPulsarMissing } from "../servers/shared-pulsar.ts";
import { openBinaryFixture } from "./binary-client-fixture.ts";

const missing = sharedPulsarMissing();
const can = { isCompacted: true, takeOver: true, drains: true };

describe.skipIf(missing !== undefined)("on a shared broker", () => {
  const shared = () => {
    const server = inject("pulsar");
    if ("missing" in server) throw new Error(server.missing);
    return server;
  };
  testPulsarClientContract("binary", () => openBinaryFixture(shared()), can);
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
  testPulsarClientContract("binary, zlib", open, can);
});
