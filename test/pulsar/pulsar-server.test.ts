import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { freshNamespace } from "../servers/pulsar-namespace.ts";
import { PulsarPair } from "../servers/pulsar-pair.ts";
import {
  adminCall,
  PulsarServer,
  type PulsarAddress,
  type PulsarServerOptions,
} from "../servers/pulsar-server.ts";
import { readMessages, SocketProducer } from "../servers/pulsar-socket.ts";
import { sharedPulsar, sharedPulsarMissing } from "../servers/shared-pulsar.ts";

const missing = sharedPulsarMissing();
const open: { close: () => Promise<void> }[] = [];

afterEach(async () => {
  await Promise.all(open.splice(0).map((each) => each.close()));
});

async function start(options: Partial<PulsarServerOptions> = {}): Promise<PulsarServer> {
  const server = await PulsarServer.start({ name: "cn-east", ...options });
  open.push(server);
  return server;
}

async function send(server: PulsarAddress, topic: string, texts: readonly string[]): Promise<void> {
  const producer = await SocketProducer.open(server, topic);
  await Promise.all(texts.map((text) => producer.send(text)));
  producer.close();
}

const payloads = async (server: PulsarAddress, topic: string, count: number) =>
  (await readMessages(server, topic, count)).map(({ payload }) => payload);

const texts = (prefix: string, count: number) =>
  Array.from({ length: count }, (_, index) => `${prefix}-${index}`);

describe("the Pulsar that tests run against", () => {
  test("is shared, and gives each test a namespace of its own", async (context) => {
    const room = await sharedPulsar(context);
    const other = await sharedPulsar(context);
    const sent = texts("event", 50);
    await send(room.server, `${room.namespace}/telemetry`, sent);
    await send(other.server, `${other.namespace}/telemetry`, ["another's"]);
    expect(await payloads(room.server, `${room.namespace}/telemetry`, 50)).toEqual(sent);
  });

  test("keeps its log within bounds, over restarts too, and what Java says apart from it", async (context) => {
    if (missing !== undefined) context.skip(missing);
    const logBytesMax = 8_000;
    const server = await start({ logBytesMax });
    await server.restart();
    const names = (await readdir(server.dir)).filter((name) => /\.(log|out)/.test(name)).sort();
    expect(names).toEqual(["pulsar.1.log", "pulsar.log", "pulsar.out"]);
    for (const name of names) {
      const { size } = await stat(join(server.dir, name));
      // A line that is begun is written whole, with the trace of its exception.
      expect(size, name).toBeLessThan(logBytesMax + 64 * 1024);
    }
    expect(await server.log()).toMatch(/INFO {2}/);
  });

  test("keeps what it acknowledged, its ports and its order over SIGKILL, and freezes", async (context) => {
    if (missing !== undefined) context.skip(missing);
    const server = await start();
    const namespace = await freshNamespace(server);
    const topic = `${namespace}/telemetry`;
    await send(server, topic, texts("before", 500));
    const { address, pid } = server;
    await server.kill();
    await expect(fetch(server.webUrl)).rejects.toThrow();
    await server.restart();
    expect(server.address).toEqual(address);
    expect(server.pid).not.toBe(pid);
    await send(server, topic, texts("after", 10));
    const expected = [...texts("before", 500), ...texts("after", 10)];
    expect(await payloads(server, topic, 510)).toEqual(expected);

    const producer = await SocketProducer.open(server, topic);
    server.freeze();
    let isAcknowledged = false;
    const late = producer.send("late").then(() => (isAcknowledged = true));
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(isAcknowledged).toBe(false);
    server.resume();
    await late;
    producer.close();
  });

  test("with authentication refuses who has no token, a wrong one, an old one or no permission", async (context) => {
    if (missing !== undefined) context.skip(missing);
    const server = await start({ hasAuth: true });
    const namespace = await freshNamespace(server);
    const topic = `${namespace}/telemetry`;
    const { cluster, brokerUrl, webUrl, wsUrl } = server;
    const as = (token?: string): PulsarAddress => {
      const address = { cluster, brokerUrl, webUrl, wsUrl };
      return token === undefined ? address : { ...address, token };
    };
    const refusals = [
      [as(), "401"],
      [as("e30.e30.e30"), "401"],
      [as(server.tokenFor({ role: "admin", lifeSeconds: -60 })), "401"],
      [as(server.tokenFor({ role: "stranger" })), "403"],
    ] as const;
    for (const [address, status] of refusals)
      await expect(SocketProducer.open(address, topic)).rejects.toThrow(status);
    expect((await adminCall(as(), "GET", "tenants")).status).toBe(401);

    const permission = { path: `namespaces/${namespace}/permissions/app`, body: ["produce"] };
    expect((await adminCall(server, "POST", permission)).status).toBe(204);
    await send(as(server.tokenFor({ role: "app", lifeSeconds: 600 })), topic, ["allowed"]);
    expect(await payloads(server, topic, 1)).toEqual(["allowed"]);
  });

  test("as a pair replicates both ways, and catches up after one of them was killed", async (context) => {
    if (missing !== undefined) context.skip(missing);
    const pair = await PulsarPair.start();
    open.push(pair);
    await pair.replicate("bus/geo");
    const topic = "bus/geo/telemetry";
    await send(pair.east, topic, ["from east"]);
    await send(pair.west, topic, ["from west"]);
    expect((await payloads(pair.west, topic, 2)).sort()).toEqual(["from east", "from west"]);
    expect((await payloads(pair.east, topic, 2)).sort()).toEqual(["from east", "from west"]);
    await pair.west.kill();
    await send(pair.east, topic, texts("meanwhile", 100));
    await pair.west.restart();
    const arrived = await payloads(pair.west, topic, 102);
    expect(arrived.slice(2)).toEqual(texts("meanwhile", 100));
  });
});
