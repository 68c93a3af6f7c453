import { createServer, type Socket } from "node:net";
import { Aedes, type AedesPublishPacket } from "aedes";
import { describe, expect, it } from "vitest";
import { createLogger, encodeAck, MeshError, systemChance, systemClock } from "@fleetmesh/core";
import { MemoryLink, type MemoryPeer } from "../../edge-agent/src/uplink/memory-link.ts";
import { MqttLink } from "../../edge-agent/src/uplink/mqtt-link.ts";
import { testLinkContract, type LinkBench } from "./link.contract.ts";

const logger = createLogger({ part: "test", level: "silent" });
const agentId = "vehicle-1";

function openMemory(): Promise<LinkBench> {
  const received: Uint8Array[] = [];
  let peer: MemoryPeer | undefined;
  let isSilent = false;
  let isRefusing = false;
  const link = new MemoryLink({
    clock: systemClock,
    chance: systemChance,
    region: {
      accept: (opened) => (peer = opened),
      receive: async (_, message) => {
        if (isRefusing) throw new MeshError("STORE_UNAVAILABLE", "refused");
        if (isSilent) await new Promise(() => undefined);
        received.push(message);
      },
    },
  });
  return Promise.resolve({
    link,
    received,
    setSilent: (value) => (isSilent = value),
    refuseNext: () => (isRefusing = true),
    sendAck: (ack) => peer?.ack(ack),
    sendCommand: (payload) => peer?.command(payload),
    goAway: () => {
      link.isDown = true;
      link.cut("gone");
      return Promise.resolve();
    },
    stop: () => {
      link.cut("stopped");
      return Promise.resolve();
    },
  });
}

/** A foreign broker, not our own door: the link must get along with any. */
async function openMqtt(): Promise<LinkBench> {
  const broker = await Aedes.createBroker({ drainTimeout: 1_000 });
  const server = createServer((socket) => void broker.handle(socket));
  const sockets = new Set<Socket>();
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
    socket.once("close", () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const received: Uint8Array[] = [];
  let isSilent = false;
  let isRefusing = false;
  broker.authorizePublish = (_client, packet, callback) => {
    if (isSilent) return;
    if (isRefusing) {
      callback(new Error("refused"));
      return;
    }
    received.push(new Uint8Array(packet.payload as Buffer));
    callback(null);
  };
  const publish = (topic: string, payload: Uint8Array): void => {
    const packet = { cmd: "publish", qos: 1, topic, payload: Buffer.from(payload), dup: false };
    broker.publish({ ...packet, retain: false } as AedesPublishPacket, () => undefined);
  };
  const goAway = async (): Promise<void> => {
    for (const socket of sockets) socket.destroy();
    await new Promise<void>((resolve) => server.close(() => resolve()));
  };
  return {
    link: new MqttLink({
      url: `mqtt://127.0.0.1:${port}`,
      agentId,
      username: agentId,
      token: () => "secret",
      keepaliveSeconds: 30,
      connectTimeoutMs: 2_000,
      messageBytesMax: 1_000_000,
      logger,
    }),
    received,
    setSilent: (value) => (isSilent = value),
    refuseNext: () => (isRefusing = true),
    sendAck: (ack) => publish(`acks/${agentId}`, encodeAck(ack)),
    sendCommand: (payload) => publish(`commands/${agentId}`, payload),
    goAway,
    stop: async () => {
      if (server.listening) await goAway();
      await new Promise<void>((resolve) => broker.close(() => resolve()));
    },
  };
}

testLinkContract("memory", openMemory);
testLinkContract("mqtt", openMqtt);

describe("MqttLink", () => {
  it("says UPLINK_REFUSED when the broker does not take the token", async () => {
    const broker = await Aedes.createBroker({
      authenticate: (...[, , , callback]) => callback(null, false),
    });
    const server = createServer((socket) => void broker.handle(socket));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const address = server.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    const link = new MqttLink({
      url: `mqtt://127.0.0.1:${port}`,
      agentId,
      username: agentId,
      token: () => undefined,
      keepaliveSeconds: 30,
      connectTimeoutMs: 2_000,
      messageBytesMax: 1_000,
      logger,
    });
    await expect(link.connect(new AbortController().signal)).rejects.toMatchObject({
      kind: "UPLINK_REFUSED",
    });
    await new Promise<void>((resolve) => broker.close(() => resolve()));
    await new Promise<void>((resolve) => server.close(() => resolve()));
  });

  it("finds a broker dead that accepts the connection and says nothing", async () => {
    const server = createServer((socket) => void socket.on("error", () => undefined).resume());
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const address = server.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    const link = new MqttLink({
      url: `mqtt://127.0.0.1:${port}`,
      agentId,
      username: agentId,
      token: () => undefined,
      keepaliveSeconds: 1,
      connectTimeoutMs: 300,
      messageBytesMax: 1_000,
      logger,
    });
    await expect(link.connect(new AbortController().signal)).rejects.toMatchObject({
      kind: "UNREACHABLE",
    });
    await new Promise<void>((resolve) => server.close(() => resolve()));
  });
});
