import { createServer, type Server } from "node:http";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { allowAll, eventText, RuntimeHarness } from "./runtime-harness.ts";

const topic = "vehicle.telemetry";
const readOther = { ...allowAll, subscribe: ["other.>"] };
let harness: RuntimeHarness;
let sink: Server;
let taken: string[];

beforeAll(async () => {
  harness = await RuntimeHarness.open();
  taken = [];
  sink = createServer((request, response) => {
    let text = "";
    request.on("data", (chunk: Buffer) => (text += chunk.toString()));
    request.on("end", () => {
      taken.push((JSON.parse(text) as { id: string }).id);
      response.writeHead(204).end();
    });
  }).listen(0, "127.0.0.1");
  await once(sink, "listening");
});

afterAll(async () => {
  await harness.close();
  sink.close();
});

interface Result {
  readonly topic?: string;
  readonly event: { readonly id: string };
  readonly matched: boolean;
  readonly failed?: Readonly<Record<string, unknown>>;
}

interface Answer {
  readonly tried: number;
  readonly matched: number;
  readonly results: readonly Result[];
}

async function post(path: string, body: unknown, mesh = allowAll): Promise<[number, unknown]> {
  const headers = { "content-type": "application/json" };
  const init = { method: "POST", headers, body: JSON.stringify(body) };
  const response = await harness.request(path, init, mesh);
  return [response.status, await response.json()];
}

async function tryRule(body: object): Promise<Answer> {
  const [status, answer] = await post("/v1/sandbox/match", body);
  expect(status, JSON.stringify(answer)).toBe(200);
  return answer as Answer;
}

const fast = { pattern: { data: { speed: [{ numeric: [">", 100] }] } } };

describe("POST /v1/sandbox/match", () => {
  it("says of a given event whether it matches, and else which clause fails first and why", async () => {
    const event = JSON.parse(eventText("1", { data: { speed: 42 } })) as object;
    expect(await tryRule({ types: ["t"], event })).toMatchObject({ tried: 1, matched: 1 });
    const { results } = await tryRule({ types: ["t"], filters: [fast], event });
    expect(results).toEqual([
      {
        event: { id: "1", source: "/test", type: "t" },
        matched: false,
        failed: {
          path: "filters[0]",
          clause: JSON.stringify(fast),
          field: "data.speed",
          found: "42",
          wanted: 'one of [{"numeric":[">",100]}]',
          reason: 'data.speed is 42; wanted: one of [{"numeric":[">",100]}]',
        },
      },
    ]);
    const several = await tryRule({ source: "/x", event: [event, { ...event, source: "/x" }] });
    expect(several.results.map(({ matched }) => matched)).toEqual([false, true]);
    expect(several.results[0]?.failed).toMatchObject({ path: "source", found: '"/test"' });
  });

  it("tries the last stored events of a topic and of all topics of a pattern", async () => {
    const numbered = (from: number, to: number): string[] =>
      Array.from({ length: to - from }, (_, at) =>
        eventText(`n${from + at}`, { data: { speed: from + at } }),
      );
    // More than are read at once, stored within a moment.
    for (let from = 0; from < 3_000; from += 500)
      await harness.publish("many.a", ...numbered(from, from + 500));
    await harness.publish("many.b", ...numbered(3_000, 3_003));
    const one = await tryRule({ filters: [fast], topic: "many.a", last: 5 });
    expect(one).toMatchObject({ tried: 5, matched: 5 });
    expect(one.results.map(({ event }) => event.id)).toEqual([
      "n2995",
      "n2996",
      "n2997",
      "n2998",
      "n2999",
    ]);
    const all = await tryRule({ topic: "many.*", last: 4 });
    expect(all.results.map(({ event, topic: of }) => `${of ?? ""} ${event.id}`)).toEqual([
      ...["many.a n2999", "many.b n3000", "many.b n3001", "many.b n3002"],
    ]);
    expect(await tryRule({ topic: "many.none", last: 4 })).toMatchObject({ tried: 0 });
  });

  it("refuses a filter that is wrong, and says where", async () => {
    const [status, answer] = await post("/v1/sandbox/match", {
      filters: [{ pattern: { type: [{ prefx: "x" }] } }],
      event: JSON.parse(eventText("1")) as object,
    });
    expect(status).toBe(400);
    expect(answer).toMatchObject({ path: "filters[0].pattern.type[0]", code: "MESH-6001" });
  });

  it.each([
    [{}, /either \\"event\\"/],
    [{ last: 5 }, /either \\"event\\"/],
    [{ topic, last: 5, event: { id: "1" } }, /either \\"event\\"/],
    [{ topic, last: 101 }, /last/],
    [{ event: { id: "1" } }, /Event 0: /],
    [{ topic, lst: 5 }, /did you mean .*last/],
  ])("refuses the body %j", async (body, wanted) => {
    const [status, answer] = await post("/v1/sandbox/match", body);
    expect(status).toBe(400);
    expect(JSON.stringify(answer)).toMatch(wanted);
  });

  it("shows stored events to those who may read the topic only", async () => {
    const body = { topic: "many.a", last: 1 };
    expect((await post("/v1/sandbox/match", body, readOther))[0]).toBe(403);
    expect((await post("/v1/sandbox/match", { topic: ">", last: 1 }, readOther))[0]).toBe(403);
  });
});

describe("GET /v1/subscriptions/{id}/explain", () => {
  async function explain(query: string, mesh = allowAll): Promise<[number, unknown]> {
    const response = await harness.request(`/v1/subscriptions/fast/explain?${query}`, {}, mesh);
    return [response.status, await response.json()];
  }

  it("says why an event was or was not delivered, and what today's rule says of it", async () => {
    const { port } = sink.address() as AddressInfo;
    const subscription = { topic, sink: `http://127.0.0.1:${port}/`, filters: [fast] };
    expect((await post("/v1/subscriptions", { id: "fast", ...subscription }))[0]).toBe(201);
    await harness.publish(
      topic,
      eventText("slow1", { data: { speed: 42 } }),
      eventText("fast1", { data: { speed: 142 } }),
    );
    await harness.publish("vehicle.other", eventText("elsewhere1"));
    await expect.poll(() => taken).toEqual(["fast1"]);
    await expect
      .poll(() => explain("event=fast1"))
      .toMatchObject([
        200,
        {
          subscription: "fast",
          topic,
          events: [{ outcome: "delivered", rule: { matched: true } }],
        },
      ]);
    expect(await explain("event=slow1&source=/test")).toMatchObject([
      200,
      {
        events: [
          {
            ...{ topic, event: { id: "slow1" }, outcome: "filtered" },
            why: 'data.speed is 42; wanted: one of [{"numeric":[">",100]}]',
            rule: { matched: false, failed: { path: "filters[0]", field: "data.speed" } },
          },
        ],
      },
    ]);
    expect(await explain("event=elsewhere1")).toMatchObject([
      200,
      {
        events: [
          {
            outcome: "other-topic",
            reason: 'it is on "vehicle.other"; the subscription takes "vehicle.telemetry"',
          },
        ],
      },
    ]);
  });

  it("counts what a filter could not be evaluated on, and the status says why", async () => {
    await harness.publish(topic, eventText("text1", { datacontenttype: "text/plain", data: "x" }));
    const status = async (): Promise<unknown> =>
      (await harness.request("/v1/subscriptions/fast/status")).json();
    await expect.poll(status).toMatchObject({
      filterErrors: 1,
      lastFilterError: "the event's data is not JSON",
      filtered: 2,
    });
    expect(await explain("event=text1")).toMatchObject([
      200,
      { events: [{ outcome: "filtered", rule: { failed: { isFault: true } } }] },
    ]);
  });

  it("goes by today's rule where the rule has changed since", async () => {
    const { port } = sink.address() as AddressInfo;
    const changed = { topic, sink: `http://127.0.0.1:${port}/`, types: ["another"] };
    const headers = { "content-type": "application/json" };
    const init = { method: "PUT", headers, body: JSON.stringify(changed) };
    expect((await harness.request("/v1/subscriptions/fast", init)).status).toBe(200);
    expect(await explain("event=fast1")).toMatchObject([
      200,
      { events: [{ outcome: "delivered", rule: { matched: false, failed: { path: "types" } } }] },
    ]);
  });

  it("tells nothing to who may not read the topic", async () => {
    expect((await explain("event=fast1", readOther))[0]).toBe(403);
    expect((await explain("event=nothing"))[0]).toBe(404);
    expect((await explain(""))[0]).toBe(400);
  });
});
