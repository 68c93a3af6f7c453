import { afterEach, describe, expect, it, vi } from "vitest";
import { bridgeConfigSchema, createBridge, type Bridge } from "@fleetmesh/bridge";
import { createLogger, systemChance, systemClock } from "@fleetmesh/core";
import { createSigningKey, type SigningKey } from "@fleetmesh/door";
import { eventText, RuntimeHarness } from "./runtime-harness.ts";

const open: { close(): Promise<void> }[] = [];
const waiting = { timeout: 20_000, interval: 20 };

afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
});

async function regions(
  names: readonly string[],
  type: "memory" | "sqlite" = "sqlite",
): Promise<RuntimeHarness[]> {
  const key: SigningKey = await createSigningKey("mesh");
  return Promise.all(
    names.map(async (region) => {
      const harness = await RuntimeHarness.open({ region, store: { type } }, key);
      open.push(harness);
      return harness;
    }),
  );
}

async function bridge(
  ends: readonly RuntimeHarness[],
  settings: Record<string, unknown> = {},
): Promise<Bridge> {
  const config = bridgeConfigSchema.parse({
    regions: await Promise.all(
      ends.map(async (end) => ({ name: end.region, url: end.url, token: await end.token() })),
    ),
    pollMs: 2_000,
    auditMs: 100,
    ...settings,
  });
  const logger = createLogger({ part: "bridge", level: "silent" });
  const made = createBridge(config, { clock: systemClock, chance: systemChance, logger });
  await made.start();
  open.push({ close: () => made.stop() });
  return made;
}

function pair([one, other]: readonly RuntimeHarness[]): [RuntimeHarness, RuntimeHarness] {
  if (one === undefined || other === undefined) throw new Error("two regions");
  return [one, other];
}

async function subscribe(region: RuntimeHarness, topic: string): Promise<void> {
  const body = { id: `s-${topic.replace(/[^a-z]/g, "-")}`, topic, sink: "http://127.0.0.1:9/" };
  const response = await region.request("/v1/subscriptions", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ ...body, protocol: "HTTP" }),
  });
  expect(response.status).toBe(201);
}

function numbered(from: number, count: number): string[] {
  return Array.from({ length: count }, (_, at) =>
    eventText(`e${from + at}`, { subject: `key-${(from + at) % 5}` }),
  );
}

function ids(from: number, count: number): string[] {
  return Array.from({ length: count }, (_, at) => `e${from + at}`);
}

async function missing(link: Bridge): Promise<number> {
  const metric = await link.registry
    .getSingleMetric("fleetmesh_replication_audit_missing_total")
    ?.get();
  return (metric?.values ?? []).reduce((sum, { value }) => sum + value, 0);
}

async function checked(link: Bridge): Promise<number> {
  const metric = await link.registry
    .getSingleMetric("fleetmesh_replication_audit_checked_total")
    ?.get();
  return (metric?.values ?? []).reduce((sum, { value }) => sum + value, 0);
}

describe("the link between two regions", () => {
  it("brings what a subscription wants from the other region, nothing older, in order, once, and nothing else", async () => {
    const [east, west] = pair(await regions(["cn-east", "cn-west"]));
    const link = await bridge([east, west]);
    await east.publish("vehicle.telemetry", eventText("before"));
    // A link starts earlier than it must by what it cannot measure of the two clocks: the round trips on a busy machine.
    await new Promise((resolve) => setTimeout(resolve, 4_000));
    await subscribe(west, "vehicle.telemetry");
    await east.publish("vehicle.telemetry", ...numbered(1, 500));
    await east.publish("plant.line", eventText("unwanted"));
    await vi.waitFor(
      async () => expect(await west.ids("vehicle.telemetry")).toHaveLength(500),
      waiting,
    );
    expect(await west.ids("vehicle.telemetry")).toEqual(ids(1, 500));
    expect(await west.ids("plant.line")).toEqual([]);
    const ends = { from: "cn-east", to: "cn-west", topic: "vehicle.telemetry" };
    expect(link.links()).toEqual([{ ...ends, kind: "embedded", state: "up", lagSeconds: 0 }]);
    await vi.waitFor(async () => expect(await checked(link)).toBeGreaterThan(0), waiting);
    expect(await missing(link)).toBe(0);
  });

  it("marks where an event entered the mesh and leaves the rest of it as it was, byte for byte", async () => {
    const [east, west] = pair(await regions(["cn-east", "cn-west"]));
    await bridge([east, west], { topics: [{ topic: ">", to: ["cn-west"] }] });
    const odd = `{"specversion":"1.0","id":"odd","source":"/s","type":"t","data":{"b": 1.50, "a":9007199254740993}}`;
    await east.publish("plant.line", odd);
    await vi.waitFor(async () => expect(await west.ids("plant.line")).toEqual(["odd"]), waiting);
    const text = await (await west.request("/v1/topics/plant.line/events")).text();
    expect(text).toContain(`{"b": 1.50, "a":9007199254740993}`);
    expect(text).toContain(`"meshorigin":"cn-east"`);
    const trace = (await (await west.request("/v1/events?id=odd")).json()) as { traces: unknown[] };
    expect(trace.traces[0]).toMatchObject({ origin: { region: "cn-east" } });
  });

  it("has a topic that is deleted at its origin fetched whole first", async () => {
    const [east, west] = pair(await regions(["cn-east", "cn-west"]));
    await bridge([east, west], { topics: [{ topic: ">", to: ["cn-west"] }] });
    await east.publish("a", ...numbered(1, 10));
    await vi.waitFor(async () => expect(await west.ids("a")).toHaveLength(10), waiting);
    for (let from = 11; from < 1_011; from += 100) await east.publish("a", ...numbered(from, 100));
    await east.request("/v1/topics/a", { method: "DELETE" });
    const listed = async () =>
      ((await (await east.request("/v1/topics")).json()) as { topics: [] }).topics;
    await vi.waitFor(async () => expect(await listed()).toEqual([]), waiting);
    await vi.waitFor(async () => expect(await west.ids("a")).toEqual(ids(1, 1_010)), waiting);
  });

  it("goes on by itself after either side was down, without loss or repeat", async () => {
    const [east, west] = pair(await regions(["cn-east", "cn-west"]));
    const link = await bridge([east, west], { topics: [{ topic: ">", to: ["cn-west"] }] });
    await east.publish("a", ...numbered(1, 50));
    await vi.waitFor(async () => expect(await west.ids("a")).toHaveLength(50), waiting);
    await west.stop();
    await east.publish("a", ...numbered(51, 50));
    await west.start();
    await vi.waitFor(async () => expect(await west.ids("a")).toHaveLength(100), waiting);
    await east.stop();
    await east.start();
    await east.publish("a", ...numbered(101, 50));
    await vi.waitFor(async () => expect(await west.ids("a")).toHaveLength(150), waiting);
    expect(await west.ids("a")).toEqual(ids(1, 150));
    expect(await missing(link)).toBe(0);
  });

  it("stores each event once when bridges are stopped hard in the middle of their work", async () => {
    const [east, west] = pair(await regions(["cn-east", "cn-west"]));
    const total = 3_000;
    const publishing = (async () => {
      for (let from = 1; from <= total; from += 50) await east.publish("a", ...numbered(from, 50));
    })();
    for (let round = 0; round < 12; round += 1) {
      const settings = { topics: [{ topic: "a", to: ["cn-west"] }], pageEvents: 20 };
      const link = await bridge([east, west], settings);
      await new Promise((resolve) => setTimeout(resolve, 40 + 17 * (round % 5)));
      await link.stop();
    }
    await publishing;
    const [one, two] = await Promise.all(
      // Two at once: the cursor lets only one of two equal pages in.
      [1, 2].map(() => bridge([east, west], { topics: [{ topic: "a", to: ["cn-west"] }] })),
    );
    await vi.waitFor(async () => expect(await west.ids("a")).toHaveLength(total), waiting);
    expect(await west.ids("a")).toEqual(ids(1, total));
    expect(one !== undefined && two !== undefined).toBe(true);
    const ledger = (await (await west.request("/v1/ledger")).json()) as Record<string, unknown>;
    expect(ledger).toMatchObject({
      difference: 0,
      topics: [{ topic: "a", replicated: total, stored: total }],
    });
  });

  it("is withdrawn when nobody wants the topic any more, and goes on where it was when somebody does again", async () => {
    const [east, west] = pair(await regions(["cn-east", "cn-west"]));
    const link = await bridge([east, west]);
    await subscribe(west, "a");
    await east.publish("a", ...numbered(1, 10));
    await vi.waitFor(async () => expect(await west.ids("a")).toHaveLength(10), waiting);
    await west.request("/v1/subscriptions/s-a", { method: "DELETE" });
    await vi.waitFor(() => expect(link.links()).toEqual([]), waiting);
    // Nobody wants it here; the copy has no hole all the same.
    await east.publish("a", ...numbered(11, 5));
    await subscribe(west, "a");
    await east.publish("a", ...numbered(16, 5));
    await vi.waitFor(async () => expect(await west.ids("a")).toEqual(ids(1, 20)), waiting);
  });
});

describe("an event that names its regions", () => {
  it("goes to those only, and the books of both ends agree", async () => {
    const [east, west, north] = await regions(["cn-east", "cn-west", "cn-north"]);
    if (!east || !west || !north) throw new Error("three regions");
    const to = ["cn-west", "cn-north"];
    const link = await bridge([east, west, north], { topics: [{ topic: "a", to }] });
    const sent = ["all", "west", "both", "none"];
    const named: (string | undefined)[] = [undefined, "cn-west", "cn-north, cn-west", "cn-south"];
    for (let round = 0; round < 20; round += 1)
      await east.publish(
        "a",
        ...sent.map((id, at) =>
          eventText(`${id}-${round}`, named[at] ? { meshregions: named[at] } : {}),
        ),
      );
    await east.publish("a", eventText("last"));
    const kept = (ids: readonly string[], kinds: string[]): string[] =>
      ids.filter((id) => id === "last" || kinds.includes(id.split("-")[0] ?? ""));
    const all = await east.ids("a");
    expect(all).toHaveLength(81);
    for (const [region, kinds] of [
      [west, ["all", "west", "both"]],
      [north, ["all", "both"]],
    ] as const)
      await vi.waitFor(
        async () => expect(await region.ids("a")).toEqual(kept(all, [...kinds])),
        waiting,
      );
    await vi.waitFor(async () => expect(await checked(link)).toBeGreaterThan(0), waiting);
    expect(await missing(link)).toBe(0);
    const withheld = await link.registry
      .getSingleMetric("fleetmesh_replication_withheld_total")
      ?.get();
    expect(withheld?.values.map(({ value }) => value).sort()).toEqual([20, 40]);
    const ledger = (await (await west.request("/v1/ledger")).json()) as Record<string, unknown>;
    expect(ledger).toMatchObject({ difference: 0, topics: [{ replicated: 61 }] });
  });
});

describe("three regions linked to each other", () => {
  it("give every event to every region once: nothing travels in a circle", async () => {
    const names = ["cn-east", "cn-west", "cn-north"];
    const all = await regions(names);
    await bridge(all, { topics: [{ topic: ">", to: names }] });
    await Promise.all(
      all.map((region) =>
        region.publish("a", ...ids(1, 40).map((id) => eventText(`${region.region}-${id}`))),
      ),
    );
    const expected = names.flatMap((name) => ids(1, 40).map((id) => `${name}-${id}`)).sort();
    for (const region of all) {
      await vi.waitFor(
        async () => expect((await region.ids("a")).sort()).toEqual(expected),
        waiting,
      );
    }
    await new Promise((resolve) => setTimeout(resolve, 500));
    for (const region of all) {
      expect(await region.ids("a")).toHaveLength(120);
      for (const name of names) {
        const own = (await region.ids("a")).filter((id) => id.startsWith(`${name}-`));
        expect(own).toEqual(ids(1, 40).map((id) => `${name}-${id}`));
      }
    }
  });
});

describe("a region that only receives", () => {
  it("gives nothing out, whoever subscribes elsewhere, and gets what it wants", async () => {
    const [east, idc] = pair(await regions(["cn-east", "idc"]));
    const ends = await Promise.all(
      [east, idc].map(async (end) => ({
        name: end.region,
        url: end.url,
        token: await end.token(),
      })),
    );
    const link = await bridge([], { regions: [ends[0], { ...ends[1], receiveOnly: true }] });
    await Promise.all([subscribe(east, "a"), subscribe(idc, "a")]);
    await idc.publish("a", eventText("secret"));
    await east.publish("a", eventText("news"));
    await vi.waitFor(async () => expect(await idc.ids("a")).toEqual(["secret", "news"]), waiting);
    expect(link.links()).toMatchObject([{ from: "cn-east", to: "idc" }]);
    expect(await east.ids("a")).toEqual(["news"]);
  });
});

describe("the replication endpoints", () => {
  it("are for region links only, refuse a damaged page and the region's own events", async () => {
    const [east, west] = pair(await regions(["cn-east", "cn-west"], "memory"));
    const stranger = { publish: [">"], subscribe: [">"], operator: true };
    expect((await east.request("/v1/replication/wants", {}, stranger)).status).toBe(403);
    await east.publish("a", eventText("1"));
    const page = await east.request("/v1/replication/events?topic=a&after=earliest");
    expect(page.headers.get("fleetmesh-count")).toBe("1");
    const bytes = Buffer.from(await page.arrayBuffer());
    const type = page.headers.get("content-type") ?? "";
    const append = (to: RuntimeHarness, body: Buffer): Promise<Response> =>
      to.request("/v1/replication/append?topic=a&origin=cn-east", {
        method: "POST",
        headers: { "content-type": type },
        body: new Uint8Array(body),
      });
    expect((await append(east, bytes)).status).toBe(400);
    for (let at = 0; at < bytes.length; at += 7) {
      const torn = Buffer.from(bytes);
      torn[at] = (torn[at] ?? 0) ^ 0x41;
      expect((await append(west, torn)).status).toBe(400);
    }
    expect((await append(west, bytes)).status).toBe(200);
    const again = await append(west, bytes);
    expect(await again.json()).toMatchObject({ status: 409, code: "MESH-7002", cursor: "1" });
    expect(await west.ids("a")).toEqual(["1"]);
  });
});
