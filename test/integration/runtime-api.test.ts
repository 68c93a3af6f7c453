import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as later } from "node:timers/promises";
import { afterEach, describe, expect, it, vi } from "vitest";
import type { MeshClaim } from "@fleetmesh/door";
import { eventText, RuntimeHarness } from "./runtime-harness.ts";

const open: { close(): Promise<void> }[] = [];

async function runtime(...given: Parameters<typeof RuntimeHarness.open>): Promise<RuntimeHarness> {
  const harness = await RuntimeHarness.open(...given);
  open.push(harness);
  return harness;
}

afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
});

const memory = { store: { type: "memory" } } as const;

describe("reading a topic over HTTP", () => {
  it("gives events oldest first, page by page, with the publishers' bytes untouched", async () => {
    const region = await runtime(memory);
    const odd = `{"specversion":"1.0","id":"odd","source":"/s","type":"t","data":{"b": 1.50, "a":\t9007199254740993}}`;
    await region.publish("plant.line", odd, eventText("2"), eventText("3"));
    const first = await region.request("/v1/topics/plant.line/events?limit=2");
    const text = await first.text();
    expect(text).toContain(`{"b": 1.50, "a":\t9007199254740993}`);
    const page = JSON.parse(text) as { events: { id: string }[]; next: string };
    expect(page.events.map(({ id }) => id)).toEqual(["odd", "2"]);
    const second = await region.request(`/v1/topics/plant.line/events?after=${page.next}`);
    const rest = (await second.json()) as { events: { id: string }[]; next: string };
    expect(rest.events.map(({ id }) => id)).toEqual(["3"]);
    const end = await region.request(`/v1/topics/plant.line/events?after=${rest.next}`);
    expect(await end.json()).toEqual({ events: [], next: rest.next });
  });

  it("answers problems: no token 401, no permission 403 before 404, unknown topic 404 with the nearest visible name", async () => {
    const region = await runtime({ ...memory, autoCreateTopics: false });
    await region.request("/v1/topics/vehicle.telemetry", { method: "PUT" });
    await region.request("/v1/topics/vehicle.telemetrx", { method: "PUT" });
    const bare = await fetch(`${region.url}/v1/topics/vehicle.telemetry/events`);
    expect([bare.status, bare.headers.get("content-type")]).toEqual([
      401,
      "application/problem+json",
    ]);
    const narrow = { subscribe: ["vehicle.telemetry", "vehicle.telemetri"] };
    const forbidden = await region.request("/v1/topics/none/events", {}, narrow);
    expect(await forbidden.json()).toMatchObject({ status: 403, code: "MESH-3003" });
    const unknown = await region.request("/v1/topics/vehicle.telemetri/events", {}, narrow);
    expect(await unknown.json()).toMatchObject({
      status: 404,
      code: "MESH-5002",
      nearest: ["vehicle.telemetry"],
    });
    const list = await region.request("/v1/topics", {}, narrow);
    expect(await list.json()).toMatchObject({ topics: [{ name: "vehicle.telemetry" }] });
  });

  it("answers fastify's own refusals as problems too", async () => {
    const region = await runtime(memory);
    await region.publish("a", eventText("1"));
    const cases: [Response, number, string][] = [
      [await region.request("/v1/nothing"), 404, "MESH-5008"],
      [await region.request("/v1/topics/a/events?limit=0"), 400, "MESH-5007"],
      [await region.request("/v1/topics/UPPER/events"), 400, "MESH-1004"],
      [await region.request("/v1/topics/a/events?after=nonsense"), 400, "MESH-5005"],
      [
        await region.request("/v1/topics/a", {
          method: "PUT",
          body: "{",
          headers: { "content-type": "application/json" },
        }),
        400,
        "MESH-5007",
      ],
      [
        await region.request("/v1/subscriptions", {
          method: "POST",
          body: `"${"x".repeat(2_000_000)}"`,
          headers: { "content-type": "application/json" },
        }),
        413,
        "MESH-1008",
      ],
    ];
    for (const [response, status, code] of cases) {
      expect(response.headers.get("content-type")).toContain("application/problem+json");
      expect([response.status, ((await response.json()) as { code: string }).code]).toEqual([
        status,
        code,
      ]);
    }
  });

  it("tells the earliest position when the asked one is trimmed", async () => {
    const region = await runtime(memory);
    await region.publish("a", eventText("1"));
    await region.runtime.store.metadata.putTopic({ name: "a", retentionMs: 1, retentionBytes: 1 });
    await later(5);
    await region.runtime.store.events.trim(Date.now() + 1_000);
    await region.publish("a", eventText("2"));
    const response = await region.request("/v1/topics/a/events?after=0");
    expect(response.status).toBe(410);
    const { earliest } = (await response.json()) as { earliest: string };
    const rest = await region.request(`/v1/topics/a/events?after=${earliest}`);
    expect(await rest.json()).toMatchObject({ events: [{ id: "2" }] });
  });
});

describe("the token check", () => {
  it("cannot be passed by spelling a path in another way", async () => {
    const region = await runtime(memory);
    for (const path of ["/v1/meta", "/%76%31/meta", "/%761/status", "/v1/meta/", "/v1/none"]) {
      expect([path, (await fetch(`${region.url}${path}`)).status]).toEqual([path, 401]);
    }
    expect((await fetch(`${region.url}/none`)).status).toBe(404);
  });
});

describe("direct publishers", () => {
  it("get 200 again for the same bytes, 409 for other bytes under the same id, and 404 for an unknown topic", async () => {
    const region = await runtime();
    expect((await region.publish("a", eventText("1", { data: 1 }))).status).toBe(200);
    expect((await region.publish("a", eventText("1", { data: 1 }))).status).toBe(200);
    const conflict = await region.publish("a", eventText("2"), eventText("1", { data: 2 }));
    expect(await conflict.json()).toMatchObject({ status: 409, code: "MESH-5003", index: 1 });
    expect(await region.ids("a")).toEqual(["1"]);
    const closed = await runtime({ ...memory, autoCreateTopics: false });
    expect((await closed.publish("a", eventText("1"))).status).toBe(404);
  });
});

describe("the live stream", () => {
  it("sends what is stored from now on, of the topics that match and may be read, and resumes", async () => {
    const region = await runtime(memory);
    await region.publish("vehicle.a", eventText("old"));
    const tail = await openStream(region, "vehicle.*", {
      mesh: { subscribe: ["vehicle.a", "vehicle.b"] },
    });
    await region.publish("vehicle.a", eventText("1"));
    await region.publish("vehicle.b", eventText("2"));
    await region.publish("vehicle.c", eventText("hidden"));
    await region.publish("vehicle.a", `{"specversion":"1.0","id":"3",\n"source":"/s","type":"t"}`);
    await vi.waitFor(() => expect(tail.ids()).toEqual(["1", "2", "3"]));
    const { lastId } = tail;
    await tail.close();
    await region.publish("vehicle.b", eventText("4"));
    const again = await openStream(region, "vehicle.*", { lastId });
    await vi.waitFor(() => expect(again.ids().sort()).toEqual(["4", "hidden"]));
    await again.close();
  });

  it("refuses a topic that may not be read, and ends when the region stops", async () => {
    const region = await runtime(memory);
    const refused = await region.request("/v1/stream?topic=a", {}, { subscribe: ["b"] });
    expect(refused.status).toBe(403);
    const tail = await openStream(region, ">");
    await region.stop();
    await tail.ended;
  });
});

describe("what became of an event", () => {
  it("is told by source and id, or by id alone, with each subscription's outcome", async () => {
    const region = await runtime();
    const sink = await openSink();
    const made = await region.request("/v1/subscriptions", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ id: "s1", topic: "a", sink: sink.url, protocol: "HTTP" }),
    });
    expect(made.status).toBe(201);
    await region.publish("a", eventText("1", { source: "urn:x/y?z" }));
    await vi.waitFor(() => expect(sink.bodies).toHaveLength(1));
    const path = `/v1/events/${encodeURIComponent("urn:x/y?z")}/1/trace`;
    await vi.waitFor(async () => {
      const trace = await (await region.request(path)).json();
      expect(trace).toMatchObject({
        traces: [
          {
            outcome: "stored",
            topic: "a",
            origin: { region: "cn-east" },
            subscriptions: [{ subscription: "s1", outcome: "delivered" }],
            event: { id: "1" },
          },
        ],
      });
    });
    expect((await region.request("/v1/events?id=1")).status).toBe(200);
    expect((await region.request("/v1/events?id=1", {}, { subscribe: ["b"] })).status).toBe(404);
    await vi.waitFor(async () => {
      const ledger = await (await region.request("/v1/ledger")).json();
      expect(ledger).toMatchObject({
        region: "cn-east",
        difference: 0,
        topics: [{ topic: "a", direct: 1, stored: 1, difference: 0 }],
        subscriptions: [{ id: "s1", delivered: 1, difference: 0 }],
      });
    });
  });
});

describe("the region's numbers", () => {
  it("are in /metrics under their fixed names, and health needs no token", async () => {
    const region = await runtime(memory);
    await region.publish("a", eventText("1"));
    await region.publish("a", eventText("1"));
    expect((await fetch(`${region.url}/livez`)).status).toBe(200);
    expect((await fetch(`${region.url}/readyz`)).status).toBe(200);
    const text = await (await fetch(`${region.url}/metrics`)).text();
    expect(text).toMatch(/fleetmesh_events_received_total\{topic="a",door="http",[^}]*\} 2/);
    expect(text).toMatch(/fleetmesh_events_stored_total\{topic="a",from="direct",[^}]*\} 1/);
    expect(text).toMatch(/fleetmesh_events_duplicate_total\{topic="a",[^}]*\} 1/);
    const status = await (await region.request("/v1/status")).json();
    expect(status).toMatchObject({ region: "cn-east", stored: 1, agentsConnected: 0 });
  });
});

interface Tail {
  readonly lastId: string | undefined;
  readonly ended: Promise<void>;
  ids(): string[];
  close(): Promise<void>;
}

async function openStream(
  region: RuntimeHarness,
  pattern: string,
  given: { readonly mesh?: MeshClaim; readonly lastId?: string | undefined } = {},
): Promise<Tail> {
  const { mesh, lastId: lastEventId } = given;
  const stopping = new AbortController();
  const headers: Record<string, string> =
    lastEventId === undefined ? {} : { "last-event-id": lastEventId };
  const init = { headers, signal: stopping.signal };
  const path = `/v1/stream?topic=${encodeURIComponent(pattern)}`;
  const response = await region.request(path, init, mesh);
  expect(response.headers.get("content-type")).toContain("text/event-stream");
  let text = "";
  const ended = (async () => {
    for await (const chunk of response.body ?? []) text += Buffer.from(chunk).toString("utf8");
  })().catch(() => undefined);
  await vi.waitFor(() => expect(text).toContain(": connected"));
  return {
    ended,
    get lastId() {
      return [...text.matchAll(/^id: (.*)$/gm)].at(-1)?.[1];
    },
    ids: () =>
      text
        .split("\n\n")
        .map((block) => [...block.matchAll(/^data: (.*)$/gm)].map(([, line]) => line).join("\n"))
        .filter((data) => data !== "")
        .map((data) => (JSON.parse(data) as { id: string }).id),
    close: async () => {
      stopping.abort();
      await ended;
    },
  };
}

interface Sink {
  readonly url: string;
  readonly bodies: string[];
}

async function openSink(): Promise<Sink> {
  const bodies: string[] = [];
  const server: Server = createServer((request, response) => {
    let body = "";
    request.on("data", (chunk: Buffer) => (body += chunk.toString("utf8")));
    request.on("end", () => {
      bodies.push(body);
      response.writeHead(204).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  open.push({
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, bodies };
}
