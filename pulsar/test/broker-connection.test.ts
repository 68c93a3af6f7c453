import { once } from "node:events";
import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { systemChance, systemClock } from "@fleetmesh/core";
import fc from "fast-check";
import { afterEach, describe, expect, it } from "vitest";
import { BinaryPulsarClient } from "../src/binary-pulsar-client.ts";
import { commandType } from "../src/binary/command-type.ts";
import { ProtobufWriter } from "../src/binary/protobuf-writer.ts";

const open: Server[] = [];
const clients: BinaryPulsarClient[] = [];
const sockets = new Set<Socket>();

afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.stop(AbortSignal.timeout(200))));
  for (const socket of sockets) socket.destroy();
  for (const server of open.splice(0)) server.close();
});

/** A listener in a broker's place that says what it is told to. */
async function imposter(onConnect: (socket: Socket) => void): Promise<BinaryPulsarClient> {
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
    onConnect(socket);
  });
  open.push(server);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return clientOf(`pulsar://127.0.0.1:${port}`);
}

function clientOf(url: string): BinaryPulsarClient {
  const at = { tenant: "t", namespace: "n", clock: systemClock, chance: systemChance };
  const client = new BinaryPulsarClient({ url, ...at, keepAliveMs: 50, requestMsMax: 300 });
  clients.push(client);
  return client;
}

function frame(type: number, fill: (out: ProtobufWriter) => void = () => undefined): Buffer {
  const command = new ProtobufWriter();
  command.number(1, type);
  const start = command.begin(type);
  fill(command);
  command.end(start);
  const head = Buffer.alloc(8);
  head.writeUInt32BE(command.length + 4);
  head.writeUInt32BE(command.length, 4);
  return Buffer.concat([head, command.view()]);
}
const connected = frame(commandType.connected, (out) => {
  out.text(1, "imposter");
  out.number(3, 100_000);
});
const unavailable = { kind: "PULSAR_UNAVAILABLE" };

describe("a connection", () => {
  it("that nobody takes is PULSAR_UNAVAILABLE", async () => {
    await expect(clientOf("pulsar://127.0.0.1:1").start()).rejects.toMatchObject(unavailable);
  });

  it("that is taken and not answered is PULSAR_UNAVAILABLE, in time", async () => {
    const client = await imposter(() => undefined);
    await expect(client.start()).rejects.toMatchObject(unavailable);
  });

  it("to something that is no Pulsar is PULSAR_UNAVAILABLE and says where to look", async () => {
    const client = await imposter((socket) => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"));
    const hint = expect.stringContaining("6650") as string;
    await expect(client.start()).rejects.toMatchObject({ ...unavailable, hint });
  });

  it("learns the broker's bound of a message", async () => {
    const client = await imposter((socket) => socket.write(connected));
    await client.start();
    expect(client.messageBytesMax).toBe(100_000 - 64 * 1024);
  });

  it("to a broker that falls silent ends by itself: what was asked fails", async () => {
    const client = await imposter((socket) => socket.write(connected));
    await client.start();
    const limits = { bytesInFlightMax: 1_000, timeoutMs: 1_000 };
    await expect(client.producer("topic", limits)).rejects.toMatchObject(unavailable);
  });

  it("lives on hostile bytes behind the handshake: each ends as PULSAR_UNAVAILABLE, the process lives", async () => {
    let hostile: Uint8Array = new Uint8Array(0);
    const client = await imposter((socket) => {
      socket.write(connected);
      socket.once("data", () => socket.write(hostile, () => socket.end()));
    });
    const types = fc.constantFrom(...Object.values(commandType));
    const known = fc
      .tuple(types, fc.uint8Array({ maxLength: 60 }))
      .map(([type, bytes]) => frame(type, (out) => out.raw(bytes)));
    const any = fc.uint8Array({ maxLength: 100 });
    const limits = { bytesInFlightMax: 1_000, timeoutMs: 1_000 };
    await fc.assert(
      fc.asyncProperty(fc.oneof(known, any), async (bytes) => {
        hostile = bytes;
        const failure = await client.producer("topic", limits).catch((error: unknown) => error);
        expect(failure).toMatchObject({ name: "MeshError" });
      }),
      { numRuns: 60 },
    );
  });

  it.each([
    "http://host:6650",
    "pulsar://",
    "pulsar://host:99999",
    "pulsar://a:1,,b:2",
    "nonsense",
  ])("to %s is CONFIG_INVALID", (url) => {
    expect(() => clientOf(url)).toThrow(
      expect.objectContaining({ kind: "CONFIG_INVALID" }) as Error,
    );
  });
});
