import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { DeliverySink, until } from "./delivery-sink.ts";
import { eventText, RuntimeHarness } from "./runtime-harness.ts";

const topic = "vehicle.telemetry";
let harness: RuntimeHarness;
let sink: DeliverySink;

beforeEach(async () => {
  harness = await RuntimeHarness.open();
  sink = await new DeliverySink().start();
});

afterEach(async () => {
  await harness.close();
  await sink.stop();
});

async function post(path: string, body: unknown): Promise<[number, Record<string, unknown>]> {
  const headers = { "content-type": "application/json" };
  const response = await harness.request(path, {
    ...{ method: "POST", headers, body: JSON.stringify(body) },
  });
  return [response.status, (await response.json()) as Record<string, unknown>];
}

async function subscribe(id: string, transform: unknown, over: object = {}): Promise<void> {
  const [status, answer] = await post("/v1/subscriptions", {
    ...{ id, topic, sink: sink.url, transform, protocolsettings: { headers: { "x-for": id } } },
    ...over,
  });
  if (status !== 201) throw new Error(JSON.stringify(answer));
}

async function get(path: string): Promise<Record<string, unknown>> {
  return (await (await harness.request(path)).json()) as Record<string, unknown>;
}

const receivedFor = (id: string): Record<string, unknown>[] =>
  sink.received
    .filter(({ headers }) => headers["x-for"] === id)
    .map(({ body }) => JSON.parse(body) as Record<string, unknown>);

async function settled(id: string, count: number): Promise<Record<string, unknown>> {
  await until(async () => {
    const { delivered, filtered, deadLettered } = await get(`/v1/subscriptions/${id}/status`);
    return Number(delivered) + Number(filtered) + Number(deadLettered) === count;
  });
  const { subscriptions } = await get("/v1/ledger");
  const books = (subscriptions as { id: string; difference: number }[]).find(
    (one) => one.id === id,
  );
  expect(books?.difference).toBe(0);
  return get(`/v1/subscriptions/${id}/status`);
}

const vehicle = (id: string, data: object): string => eventText(id, { subject: id, data });

describe("transforms of subscriptions", () => {
  it("give each subscriber what its rule makes of the event", async () => {
    await subscribe("template", { template: { type: "t2", data: { car: "$.data.vin" } } });
    await subscribe("project", { project: { redact: ["data.vin"] } });
    await subscribe("jsonata", { jsonata: "$merge([$, {'data': {'kmh': data.speed * 3.6}}])" });
    await subscribe("function", {
      function: "(e) => ({ ...e, data: { fast: e.data.speed > 5 } })",
    });
    await subscribe("chain", [
      { jsonata: "$merge([$, {'type': 'chained'}])" },
      { template: { data: { was: "$.type" } } },
    ]);
    await harness.publish(topic, vehicle("e1", { vin: "LSV1", speed: 10 }));
    for (const id of ["template", "project", "jsonata", "function", "chain"]) await settled(id, 1);
    expect(receivedFor("template")).toMatchObject([
      { id: "e1", type: "t2", data: { car: "LSV1" } },
    ]);
    expect(receivedFor("project")).toMatchObject([{ type: "t", data: { speed: 10 } }]);
    expect(receivedFor("project")[0]?.["data"]).not.toHaveProperty("vin");
    expect(receivedFor("jsonata")).toMatchObject([{ data: { kmh: 36 } }]);
    expect(receivedFor("function")).toMatchObject([{ data: { fast: true } }]);
    expect(receivedFor("chain")).toMatchObject([{ type: "chained", data: { was: "chained" } }]);
  });

  it("make none or several of an event, in order, and the ledger balances", async () => {
    const parts = "data.n = 2 ? null : [1..3].$merge([$$, {'data': {'part': $}}])";
    await subscribe("several", { jsonata: parts });
    const texts = [1, 2, 3].map((n) => eventText(`e${n}`, { subject: "one key", data: { n } }));
    await harness.publish(topic, ...texts);
    const status = await settled("several", 3);
    expect(status).toMatchObject({ delivered: 2, filtered: 1, deadLettered: 0 });
    const ids = ["e1/1", "e1/2", "e1/3", "e3/1", "e3/2", "e3/3"];
    expect(receivedFor("several").map(({ id }) => id)).toEqual(ids);
    const hooks = sink.received.map(({ headers }) => headers["webhook-id"]);
    expect(new Set(hooks).size).toBe(6);
  });

  it("goes on with the part that failed, under the same ids", async () => {
    let failures = 0;
    sink.answer = ({ id }, response) => {
      response.writeHead(id === "e1/2" && failures++ < 2 ? 503 : 200).end();
    };
    await subscribe(
      "parts",
      { function: "(e) => [e, e, e]" },
      {
        delivery: { backoff: { initialMs: 10, maxMs: 10 } },
      },
    );
    await harness.publish(topic, vehicle("e1", {}));
    await settled("parts", 1);
    expect(sink.ids).toEqual(["e1/1", "e1/2", "e1/2", "e1/2", "e1/3"]);
  });

  it.each([
    ["a function that never ends", { function: "() => { while (true); }" }, "took too long"],
    [
      "a recursion that never ends",
      { jsonata: "($f := function($n){ $f($n) }; $f(1))" },
      "took too long",
    ],
    [
      "a function that takes memory",
      { function: "() => { const a = []; for (;;) a.push(new Uint8Array(1e6)); }" },
      "took too much memory",
    ],
    [
      "an expression that takes memory",
      { jsonata: "$length($pad('x', 400000000))" },
      "took too much memory",
    ],
  ])("stop %s, and let the other subscriptions have all their events", async (_, rule, reason) => {
    await subscribe("bad", rule);
    await subscribe("good", { function: "(event) => ({ ...event, type: 'good' })" });
    await subscribe("plain", undefined);
    const ids = Array.from({ length: 60 }, (_each, at) => `e${at}`);
    await harness.publish(topic, ...ids.map((id) => vehicle(id, {})));
    await settled("good", 60);
    await settled("plain", 60);
    for (const id of ["good", "plain"])
      expect(new Set(receivedFor(id).map((one) => one["id"]))).toEqual(new Set(ids));
    await until(async () => {
      const { deadLetters } = await get("/v1/dead-letters?subscription=bad");
      return (deadLetters as unknown[]).length > 0;
    });
    const { deadLetters } = await get("/v1/dead-letters?subscription=bad");
    for (const letter of deadLetters as { reason: string }[])
      expect(letter.reason).toContain(reason);
  });

  it("puts an event that the rule fails on to the dead letters, and redrives it by the rule of then", async () => {
    await subscribe("strict", { template: { subject: "$.data.vin" } });
    await harness.publish(topic, vehicle("e1", {}), vehicle("e2", { vin: "LSV2" }));
    expect(await settled("strict", 2)).toMatchObject({ delivered: 1, deadLettered: 1 });
    const letters = async (): Promise<unknown[]> =>
      (await get("/v1/dead-letters"))["deadLetters"] as unknown[];
    // It is committed a moment after it is counted.
    await until(async () => (await letters()).length === 1);
    const [letter] = await letters();
    expect(letter).toMatchObject({
      reason: "the transform's step 1 (template) names what the event does not have",
      attempts: [
        { outcome: "transform", detail: "step 1 (template): The event has no $.data.vin" },
      ],
      event: { id: "e1", subject: "e1" },
    });
    // What was given up is what came, not what was made of it.
    const put = await harness.request("/v1/subscriptions/strict", {
      method: "PUT",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({
        ...{ topic, sink: sink.url, protocolsettings: { headers: { "x-for": "strict" } } },
        transform: { template: { subject: "${$.data.vin|unknown}" } },
      }),
    });
    expect(put.status).toBe(200);
    await post("/v1/dead-letters/redrive", { all: true });
    await until(() => receivedFor("strict").length === 2);
    expect(receivedFor("strict")[1]).toMatchObject({ id: "e1", subject: "unknown" });
    await until(async () => (await letters()).length === 0);
  });

  it("are checked before they are kept, and never show a salt", async () => {
    const bad = {
      id: "bad",
      topic,
      sink: sink.url,
      transform: [{ jsonata: "$" }, { function: "(" }],
    };
    const [status, problem] = await post("/v1/subscriptions", bad);
    expect([status, problem["code"]]).toEqual([400, "MESH-6001"]);
    expect(problem["detail"]).toMatch(/^transform\[1\]\.function cannot be used/);
    const salt = "sixteen letters at least";
    const hash = { fields: ["data.vin", "subject"], salt };
    await subscribe("hashed", [{ project: { hash } }]);
    const shown = await get("/v1/subscriptions/hashed");
    expect(JSON.stringify(shown)).not.toContain(salt);
    expect(shown).toMatchObject({ transform: [{ project: { hash: { salt: "[redacted]" } } }] });
    const put = await harness.request("/v1/subscriptions/hashed", {
      ...{ method: "PUT", headers: { "content-type": "application/json" } },
      body: JSON.stringify(shown),
    });
    expect(put.status).toBe(200);
    await harness.publish(topic, eventText("e1", { subject: "LSV1", data: { vin: "LSV1", n: 1 } }));
    await settled("hashed", 1);
    const [made] = receivedFor("hashed");
    expect(made?.["subject"]).toMatch(/^[0-9a-f]{32}$/);
    expect(made?.["data"]).toEqual({ vin: made?.["subject"], n: 1 });
  });
});

describe("POST /v1/sandbox/transform", () => {
  const event = { specversion: "1.0", id: "e1", source: "/s", type: "t", data: { n: 1 } };

  it("shows what a rule makes of an event", async () => {
    const transform = { function: "(e) => [e, { ...e, data: { n: e.data.n + 1 } }]" };
    const [status, answer] = await post("/v1/sandbox/transform", { transform, event });
    expect(status).toBe(200);
    expect(answer).toEqual({
      outputs: [
        { ...event, id: "e1/1" },
        { ...event, id: "e1/2", data: { n: 2 } },
      ],
    });
  });

  it("says at which step and place it fails", async () => {
    const transform = [{ template: { type: "x" } }, { function: "(e) =>\n  e.data.m.n" }];
    const [status, problem] = await post("/v1/sandbox/transform", { transform, event });
    expect(status).toBe(422);
    expect(problem).toMatchObject({ code: "MESH-6020", step: 2, kind: "function", why: "error" });
    expect(problem["detail"]).toMatch(/line 2/);
    const unreadable = { transform: { jsonata: "a.(" }, event };
    const [refused, invalid] = await post("/v1/sandbox/transform", unreadable);
    expect([refused, invalid["code"]]).toEqual([400, "MESH-6001"]);
  });

  it("is for operators", async () => {
    const response = await harness.request(
      "/v1/sandbox/transform",
      { method: "POST", headers: { "content-type": "application/json" }, body: "{}" },
      { publish: [], subscribe: [">"], operator: false },
    );
    expect(response.status).toBe(403);
  });
});
