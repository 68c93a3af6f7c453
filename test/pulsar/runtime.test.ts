import { PulsarServer } from "../servers/pulsar-server.ts";
import { sharedPulsar, type PulsarRoom } from "../servers/shared-pulsar.ts";
import { DeliverySink, until } from "../integration/delivery-sink.ts";
import { eventText, RuntimeHarness } from "../integration/runtime-harness.ts";
import { afterEach, describe, expect, it } from "vitest";
import { pulsarStoreConfig } from "./pulsar-store-config.ts";

const topic = "vehicle.speed";

interface Books {
  readonly difference: number;
  readonly topics: readonly { topic: string; stored: number; difference: number }[];
  readonly subscriptions: readonly {
    readonly delivered: number;
    readonly deadLettered: number;
    readonly pending: number;
    readonly difference: number;
  }[];
}

describe("a runtime with its store in a real Pulsar", () => {
  const open: { close: () => Promise<unknown> }[] = [];
  afterEach(async () => {
    for (const each of open.splice(0).reverse()) await each.close();
  });

  const runtimeIn = async (
    room: PulsarRoom,
    client?: "binary" | "websocket",
  ): Promise<RuntimeHarness> => {
    const region = await RuntimeHarness.open({ store: pulsarStoreConfig(room, client) });
    open.push(region);
    await until(async () => (await fetch(`${region.url}/readyz`)).ok);
    return region;
  };
  const sinkThat = async (): Promise<DeliverySink> => {
    const sink = await new DeliverySink().start();
    open.push({ close: () => sink.stop() });
    return sink;
  };
  const call = async <Body>(region: RuntimeHarness, path: string, body?: object): Promise<Body> => {
    const headers = { "content-type": "application/json" };
    const post = { method: "POST", headers, body: JSON.stringify(body) };
    const response = await region.request(path, body === undefined ? {} : post);
    const text = await response.text();
    if (!response.ok) throw new Error(`${path}: ${response.status} ${text}`);
    return JSON.parse(text) as Body;
  };
  const subscribe = (region: RuntimeHarness, sink: string, maxAttempts: number) =>
    call(region, "/v1/subscriptions", {
      ...{ id: "s1", topic, sink, protocol: "HTTP" },
      delivery: { maxAttempts, backoff: { initialMs: 20, maxMs: 50 } },
    });
  const books = (region: RuntimeHarness): Promise<Books> => call<Books>(region, "/v1/ledger");
  const publish = async (region: RuntimeHarness, from: number, count: number): Promise<void> => {
    const texts = Array.from({ length: count }, (_, at) =>
      eventText(`e${from + at}`, { subject: `k${(from + at) % 7}`, data: { n: from + at } }),
    );
    expect((await region.publish(topic, ...texts)).status).toBe(200);
  };

  it.for(["binary", "websocket"] as const)(
    "pushes, gives up into dead letters, and goes on after a restart where it was: %s",
    async (client, context) => {
      const region = await runtimeIn(await sharedPulsar(context), client);
      const metrics = await (await fetch(`${region.url}/metrics`)).text();
      expect(metrics).toContain(`fleetmesh_pulsar_client_info{client="${client}"`);
      const sink = await sinkThat();
      let isBroken = true;
      sink.answer = ({ id }, response) =>
        response.writeHead(isBroken && id === "e5" ? 500 : 200).end();
      await subscribe(region, sink.url, 2);
      await publish(region, 1, 50);
      await until(async () => (await books(region)).subscriptions[0]?.deadLettered === 1);
      await until(async () => (await books(region)).subscriptions[0]?.delivered === 49);
      await region.stop();
      const before = sink.received.length;
      await region.start();
      await until(async () => (await fetch(`${region.url}/readyz`)).ok);
      await publish(region, 51, 50);
      await until(async () => (await books(region)).subscriptions[0]?.delivered === 99);
      expect(sink.received.length).toBe(before + 50);
      const { deadLetters } = await call<{ deadLetters: { event: { id: string } }[] }>(
        region,
        "/v1/dead-letters",
      );
      expect(deadLetters.map(({ event }) => event.id)).toEqual(["e5"]);
      isBroken = false;
      await call(region, "/v1/dead-letters/redrive", { subscription: "s1" });
      await until(() => sink.ids.filter((id) => id === "e5").length === 3);
      const listed = () => call<{ deadLetters: unknown[] }>(region, "/v1/dead-letters");
      await until(async () => (await listed()).deadLetters.length === 0);
      const ledger = await books(region);
      expect(ledger).toMatchObject({ difference: 0, topics: [{ topic, stored: 100 }] });
      expect(ledger.subscriptions[0]).toMatchObject({ pending: 0, difference: 0 });
      expect(await region.ids(topic)).toHaveLength(100);
    },
  );

  it("tells an event's way, its client, and that another node has the store", async (context) => {
    const room = await sharedPulsar(context);
    const region = await runtimeIn(room);
    const sink = await sinkThat();
    await subscribe(region, sink.url, 2);
    await publish(region, 1, 3);
    await until(() => sink.ids.length === 3);
    const told = async (): Promise<string> => (await region.request("/v1/events?id=e2")).text();
    await until(async () => (await told()).includes('"delivered"'));
    expect(await (await fetch(`${region.url}/metrics`)).text()).toMatch(
      /fleetmesh_pulsar_client_info\{client="binary".*\} 1/,
    );
    const second = await RuntimeHarness.open({ store: pulsarStoreConfig(room) }, region.key);
    open.push(second);
    const ready = await fetch(`${second.url}/readyz`);
    expect(ready.status).toBe(503);
    expect(await ready.text()).toContain("Another node serves the store");
    const refused = await second.publish(topic, eventText("x"));
    expect(refused.status).toBe(503);
    expect(refused.headers.get("retry-after")).toBe("1");
    await region.stop();
    await until(async () => (await fetch(`${second.url}/readyz`)).ok);
    expect(await second.ids(topic)).toEqual(["e1", "e2", "e3"]);
  });

  it("refuses while its broker is away, from the start on, and goes on by itself", async (context) => {
    await sharedPulsar(context);
    const server = await PulsarServer.start({ name: "cn-east" });
    open.push(server);
    const room = { server, namespace: "public/mesh" };
    const region = await runtimeIn(room);
    const sink = await sinkThat();
    await subscribe(region, sink.url, 100);
    const publishing = new AbortController();
    const isOver = (): boolean => publishing.signal.aborted;
    const acknowledged: string[] = [];
    const statuses = new Set<number>();
    const publisher = async (name: string): Promise<void> => {
      for (let n = 1; !isOver(); n += 1) {
        const id = `${name}-${n}`;
        for (let isDone = false; !isDone;) {
          if (isOver()) return;
          const response = await region.publish(topic, eventText(id, { subject: name }));
          statuses.add(response.status);
          if (response.status === 503) expect(response.headers.get("retry-after")).not.toBeNull();
          isDone = response.ok;
          if (isDone) acknowledged.push(id);
          else await new Promise((resolve) => setTimeout(resolve, 50));
        }
      }
    };
    const publishers = ["a", "b", "c", "d"].map(publisher);
    await until(() => acknowledged.length > 100);
    await server.kill();
    await until(() => statuses.has(503));
    await until(async () => (await fetch(`${region.url}/readyz`)).status === 503);
    await server.restart();
    const before = acknowledged.length;
    await until(() => acknowledged.length > before + 100);
    publishing.abort();
    await Promise.all(publishers);
    expect([...statuses].sort()).toEqual([200, 503]);
    await until(() => acknowledged.every((id) => sink.ids.includes(id)));
    await until(async () => (await books(region)).subscriptions[0]?.pending === 0);
    const stored = await region.ids(topic);
    expect(new Set(stored).size).toBe(stored.length);
    expect(stored).toEqual(expect.arrayContaining(acknowledged));
    expect((await books(region)).difference).toBe(0);
    await region.stop();
    await server.kill();
    await region.start();
    expect((await fetch(`${region.url}/readyz`)).status).toBe(503);
    expect((await region.publish(topic, eventText("z"))).status).toBe(503);
    await server.restart();
    await until(async () => (await region.publish(topic, eventText("z"))).ok);
    await until(() => sink.ids.includes("z"));
  });
});
