import { randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { DeliverySink, until } from "../integration/delivery-sink.ts";
import { eventText, RuntimeHarness } from "../integration/runtime-harness.ts";
import { freshNamespace } from "../servers/pulsar-namespace.ts";
import { adminCall, PulsarServer } from "../servers/pulsar-server.ts";
import { signToken } from "../servers/pulsar-token.ts";
import { sharedPulsarMissing } from "../servers/shared-pulsar.ts";
import { cutSockets } from "./cut-sockets.ts";
import { numbersByKey, startAgent, startPoster, type DrillPublisher } from "./drill-publisher.ts";
import { pulsarStoreConfig } from "./pulsar-store-config.ts";

const topic = "vehicle.speed";
/** Enough for a runtime to start under load. */
const firstSeconds = 8;
const role = "mesh";
const clients = ["binary", "websocket"] as const;

/** A region whose role may do in its namespace what the guide names, and nothing else. */
interface Region {
  readonly runtime: RuntimeHarness;
  readonly sink: DeliverySink;
  readonly publishers: readonly DrillPublisher[];
  /** Writes a token into the runtime's file, over the old one, and gives it. */
  renew(lifeSeconds?: number): Promise<string>;
  readonly firstToken: string;
}

describe.skipIf(sharedPulsarMissing() !== undefined)("a runtime whose Pulsar token ends", () => {
  let server: PulsarServer;
  const open: { close: () => Promise<unknown> }[] = [];
  const closing = <Closable extends { close: () => Promise<unknown> }>(closable: Closable) => {
    open.push(closable);
    return closable;
  };

  beforeAll(async () => {
    const settings = { authenticationRefreshCheckSeconds: 2 };
    server = await PulsarServer.start({ name: "cn-east", hasAuth: true, settings });
  });
  afterEach(async () => {
    for (const each of open.splice(0).reverse()) await each.close();
  });
  afterAll(() => server.close());

  const change = async (path: string, body: unknown): Promise<void> => {
    expect(await adminCall(server, "POST", { path, body })).toMatchObject({ status: 204 });
  };
  const room = async (): Promise<string> => {
    const namespace = await freshNamespace(server);
    const [tenant = ""] = namespace.split("/");
    await change(`tenants/${tenant}`, { adminRoles: [role], allowedClusters: [server.cluster] });
    await change(`namespaces/${namespace}/permissions/${role}`, ["produce", "consume"]);
    return namespace;
  };
  /** Nothing is in its file yet. */
  const tokenStore = async (client: (typeof clients)[number]) => {
    const dir = await mkdtemp(join(tmpdir(), "fleetmesh-token-"));
    closing({ close: () => rm(dir, { recursive: true, force: true }) });
    const tokenFile = join(dir, "token");
    const { cluster, brokerUrl, webUrl, wsUrl } = server;
    const place = { server: { cluster, brokerUrl, webUrl, wsUrl }, namespace: await room() };
    return { ...pulsarStoreConfig(place, client), tokenFile };
  };
  const startRegion = async (client: (typeof clients)[number]): Promise<Region> => {
    const store = await tokenStore(client);
    const renew = async (lifeSeconds = 3_600): Promise<string> => {
      const token = server.tokenFor({ role, lifeSeconds });
      await writeFile(store.tokenFile, token);
      return token;
    };
    const firstToken = await renew(firstSeconds);
    const runtime = closing(await RuntimeHarness.open({ store }));
    const sink = await new DeliverySink().start();
    closing({ close: () => sink.stop() });
    await runtime.request("/v1/subscriptions", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ topic, sink: sink.url, protocol: "HTTP" }),
    });
    const publishers = [startPoster(runtime, topic), await startAgent(runtime, topic)];
    await until(() => publishers.every(({ acknowledged }) => acknowledged.length > 0));
    return { runtime, sink, publishers, renew, firstToken };
  };

  /** The broker's own word that the token is of no use any more. */
  const whenRefused = (token: string): Promise<void> =>
    until(
      async () =>
        (await adminCall({ webUrl: server.webUrl, token }, "GET", "clusters")).status === 401,
    );
  const whyNotReady = async ({ runtime }: Pick<Region, "runtime">): Promise<string | undefined> => {
    const response = await fetch(`${runtime.url}/readyz`);
    const { reason } = (await response.json()) as { reason?: string };
    expect(response.status).toBe(reason === undefined ? 200 : 503);
    return reason;
  };
  /** Looks until it is stopped; then gives all that was ever missing. */
  const watchReadiness = (region: Region): (() => Promise<string[]>) => {
    const reasons = new Set<string>();
    const stopping = new AbortController();
    const watching = (async () => {
      while (!stopping.signal.aborted) reasons.add((await whyNotReady(region)) ?? "");
      reasons.delete("");
    })();
    return async () => {
      stopping.abort();
      await watching;
      return [...reasons];
    };
  };
  const whenMore = async ({ publishers }: Region): Promise<void> => {
    const before = publishers.map(({ acknowledged }) => acknowledged.length);
    const isMore = ({ acknowledged }: DrillPublisher, at: number): boolean =>
      acknowledged.length > (before[at] ?? 0) + 100;
    await until(() => publishers.every(isMore));
  };
  const cutAll = (): void => {
    for (const url of [server.brokerUrl, server.webUrl]) cutSockets(Number(new URL(url).port));
  };

  const expectAllOnceInOrder = async ({ runtime, sink, publishers }: Region): Promise<void> => {
    await Promise.all(publishers.map((publisher) => publisher.stop()));
    const acknowledged = publishers.flatMap((publisher) => publisher.acknowledged).sort();
    const ids = await runtime.ids(topic);
    expect([...ids].sort()).toEqual(acknowledged);
    for (const { name } of publishers)
      for (const [key, numbers] of numbersByKey(ids, name))
        expect(numbers, `${name} ${key}`).toEqual([...numbers].sort((a, b) => a - b));
    type Books = { difference: number; subscriptions: { pending: number; difference: number }[] };
    const books = async () => (await (await runtime.request("/v1/ledger")).json()) as Books;
    await until(async () => (await books()).subscriptions[0]?.pending === 0);
    expect(await books()).toMatchObject({ difference: 0, subscriptions: [{ difference: 0 }] });
    expect([...new Set(sink.ids)].sort()).toEqual(acknowledged);
  };

  it("goes on without a pause when the file is renewed before: the broker asks over the binary protocol, and is given the new one", async () => {
    const region = await startRegion("binary");
    const whatWasMissing = watchReadiness(region);
    const second = await region.renew(firstSeconds);
    await whenRefused(region.firstToken);
    await region.renew();
    await whenRefused(second);
    await whenMore(region);
    expect(await whatWasMissing()).toEqual([]);
    await expectAllOnceInOrder(region);
  });

  // Pulsar's WebSocket API looks at a token only when a session is opened: one that is open outlives its token.
  it("goes on when the file is renewed before: WebSockets outlive their token, and new ones are opened with the new one", async () => {
    const region = await startRegion("websocket");
    const whatWasMissing = watchReadiness(region);
    await region.renew();
    await whenRefused(region.firstToken);
    await whenMore(region);
    expect(await whatWasMissing()).toEqual([]);
    cutAll();
    await whenMore(region);
    await expectAllOnceInOrder(region);
  });

  it.for(clients)(
    "refuses when nobody renews it, says why, and goes on by itself with a new one: %s",
    async (client) => {
      const region = await startRegion(client);
      const { runtime, publishers } = region;
      const device = await runtime.connectAgent("device");
      closing({ close: () => device.end() });
      await whenRefused(region.firstToken);
      // The binary protocol's connections are ended by the broker; the others by whatever ends them one day.
      if (client === "websocket") cutAll();
      await until(async () => (await whyNotReady(region))?.includes("token") === true);

      const refusal = await runtime.publish(topic, eventText("refused"));
      expect(refusal.status).toBe(503);
      expect(refusal.headers.get("retry-after")).toBe("1");
      expect(await refusal.text()).toMatch(/token .*expired/);
      const unanswered = device.send(Buffer.from(eventText("refused")), `events/${topic}`);
      await expect(unanswered).rejects.toThrow("closed before the PUBACK");
      // The vehicle goes on; its agent keeps what the region does not take.
      const [, agent] = publishers;
      const kept = agent?.acknowledged.length ?? 0;
      await until(() => (agent?.acknowledged.length ?? 0) > kept + 200);
      expect(await whyNotReady(region)).toMatch(/token .*expired/);

      await region.renew();
      await until(async () => (await whyNotReady(region)) === undefined);
      await whenMore(region);
      await expectAllOnceInOrder(region);
    },
  );

  describe.for(clients)("starts over %s", (client) => {
    it.for([
      ["has expired", { role, lifeSeconds: -5 }, /token expired at 20/],
      ["is not valid yet", { role, waitSeconds: 3_600 }, /token is not valid before 20/],
    ] as const)(
      "with a token that %s: it refuses, says why, and goes on by itself with a new one",
      async ([, wish, reason]) => {
        const store = await tokenStore(client);
        await writeFile(store.tokenFile, server.tokenFor(wish));
        const runtime = closing(await RuntimeHarness.open({ store }));
        await until(async () => reason.test((await whyNotReady({ runtime })) ?? ""));
        const refusal = await runtime.publish(topic, eventText("early"));
        expect(refusal.status).toBe(503);
        expect(refusal.headers.get("retry-after")).toBe("1");
        expect(await refusal.text()).toMatch(reason);

        await writeFile(store.tokenFile, server.tokenFor({ role, lifeSeconds: 3_600 }));
        await until(async () => (await whyNotReady({ runtime })) === undefined);
        expect((await runtime.publish(topic, eventText("late"))).status).toBe(200);
        expect(await runtime.ids(topic)).toEqual(["late"]);
      },
    );

    it.for([
      ["is signed by another", () => signToken(randomBytes(32), { role, lifeSeconds: 3_600 })],
      ["has no permission", () => server.tokenFor({ role: "stranger" })],
    ] as const)("not with a token that %s: it ends with the reason", async ([, makeToken]) => {
      const store = await tokenStore(client);
      await writeFile(store.tokenFile, makeToken());
      await expect(RuntimeHarness.open({ store })).rejects.toMatchObject({
        kind: "PULSAR_DENIED",
        message: expect.stringMatching(/token|administrator/) as string,
      });
    });
  });
});
