import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { afterEach, describe, expect, it, vi } from "vitest";
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
const json = { "content-type": "application/json" };

async function problemOf(response: Response): Promise<{ status: number; detail: string }> {
  expect(response.headers.get("content-type")).toBe("application/problem+json");
  return (await response.json()) as { status: number; detail: string };
}

/** Bytes on a socket, as no HTTP library would send them; what came back until the other side paused or closed. */
async function raw(url: string, text: string): Promise<string> {
  const { hostname, port } = new URL(url);
  const socket: Socket = connect(Number(port), hostname);
  socket.write(text);
  const [first] = (await once(socket, "data")) as [Buffer];
  socket.destroy();
  return first.toString("latin1");
}

describe("the management API under hostile requests", () => {
  it("answers a path that is not UTF-8 with a problem document", async () => {
    const region = await runtime(memory);
    const response = await region.request("/v1/events/%ff/x/trace");
    expect(await problemOf(response)).toMatchObject({ status: 400, code: "MESH-5007" });
  });

  it("tells a wrong method from a wrong path, with the methods that are right", async () => {
    const region = await runtime(memory);
    for (const [method, path, allow] of [
      ["DELETE", "/v1/ledger", "GET, HEAD"],
      ["PATCH", "/v1/subscriptions/", "GET, HEAD, POST"],
      ["GET", "/v1/subscriptions/one/pause", "POST"],
    ] as const) {
      const response = await region.request(path, { method });
      expect(await problemOf(response)).toMatchObject({ status: 405, code: "MESH-5012" });
      expect(response.headers.get("allow")).toBe(allow);
    }
    const nowhere = await region.request("/v1/nowhere", { method: "DELETE" });
    expect(nowhere.status).toBe(404);
    const stranger = await fetch(`${region.url}/v1/ledger`, { method: "DELETE" });
    expect(stranger.status).toBe(401);
  });

  it("refuses a body that is nested beyond reason before anything walks it", async () => {
    const region = await runtime(memory);
    const sink = "http://127.0.0.1:9/";
    for (const depth of [70, 40_000]) {
      const filter = `${'{"not":'.repeat(depth)}{"exact":{"type":"x"}}${"}".repeat(depth)}`;
      const body = `{"topic":"a","sink":"${sink}","filters":[${filter}]}`;
      const post = { method: "POST", headers: json, body };
      const problem = await problemOf(await region.request("/v1/subscriptions", post));
      expect(problem).toMatchObject({ status: 400, detail: "The body is nested deeper than 64" });
    }
    const brackets = JSON.stringify({ topic: "a", sink, consumergroup: '[{\\"'.repeat(50) });
    const fine = { method: "POST", headers: json, body: brackets };
    expect((await region.request("/v1/subscriptions", fine)).status).toBe(201);
  });

  it("names the field that is wrong and the one that was meant", async () => {
    const region = await runtime(memory);
    const put = { method: "PUT", headers: json, body: '{"retentionM":60000}' };
    const topic = await problemOf(await region.request("/v1/topics/a.b", put));
    expect(topic.detail).toContain('did you mean "retentionMs"?');
    const post = { method: "POST", headers: json, body: '{"idz":["1"]}' };
    const redrive = await problemOf(await region.request("/v1/dead-letters/redrive", post));
    expect(redrive.detail).toContain('did you mean "ids"?');
  });

  it("takes an action without a body even when a type is announced", async () => {
    const region = await runtime(memory);
    const body = JSON.stringify({ id: "one", topic: "a", sink: "http://127.0.0.1:9/" });
    await region.request("/v1/subscriptions", { method: "POST", headers: json, body });
    const pause = { method: "POST", headers: json, body: "" };
    expect((await region.request("/v1/subscriptions/one/pause", pause)).status).toBe(200);
  });

  it("understands a request for the whole address, as proxies send it", async () => {
    const region = await runtime(memory);
    const event = eventText("by-proxy");
    const answer = await raw(
      region.url,
      `POST http://mesh.example/v1/topics/a.b/events HTTP/1.1\r\nhost: mesh.example\r\n` +
        `authorization: Bearer ${await region.token()}\r\n` +
        `content-type: application/cloudevents+json\r\ncontent-length: ${event.length}\r\n\r\n${event}`,
    );
    expect(answer).toContain("200 OK");
    expect(await region.ids("a.b")).toEqual(["by-proxy"]);
  });

  it("gives its metrics without a token only to who asks this machine by its own name", async () => {
    const region = await runtime(memory);
    const ask = (host: string): Promise<string> =>
      raw(region.url, `GET /metrics HTTP/1.1\r\nhost: ${host}\r\n\r\n`);
    expect(await ask("localhost")).toContain("200 OK");
    expect(await ask("rebound.example")).toContain("401 Unauthorized");
  });
});

describe("a subscription's secrets", () => {
  const sent = { sinkcredential: { credentialtype: "PLAIN", identifier: "u", secret: "hush" } };
  const spec = { topic: "a", sink: "http://127.0.0.1:9/one", ...sent };
  const put = (body: unknown): RequestInit => ({
    method: "PUT",
    headers: json,
    body: JSON.stringify(body),
  });

  it("survive that what was read is written back, and go to no other host", async () => {
    const region = await runtime(memory);
    const path = "/v1/subscriptions/one";
    const body = JSON.stringify({ ...spec, id: "one" });
    await region.request("/v1/subscriptions", { method: "POST", headers: json, body });
    const read = (await (await region.request(path)).json()) as Record<string, unknown>;
    expect(JSON.stringify(read)).not.toContain("hush");

    expect((await region.request(path, put({ ...read, sink: `${spec.sink}/two` }))).status).toBe(
      200,
    );
    const kept = region.runtime.store.metadata.subscription("one");
    expect(kept?.sinkcredential).toMatchObject({ secret: "hush" });

    const elsewhere = await region.request(path, put({ ...read, sink: "http://127.0.0.2:9/" }));
    const problem = await problemOf(elsewhere);
    expect(problem.detail).toContain("secret: must be given again");
    expect((await region.request(path, put({ ...spec, sink: "http://127.0.0.2:9/" }))).status).toBe(
      200,
    );
  });

  it("are not taken inside the sink's address", async () => {
    const region = await runtime(memory);
    for (const sink of ["http://u:p@sink.example/", "http://:p@sink.example/"]) {
      const body = JSON.stringify({ topic: "a", sink });
      const post = { method: "POST", headers: json, body };
      expect((await region.request("/v1/subscriptions", post)).status).toBe(400);
    }
  });
});

describe("dead letters", () => {
  it("are grouped for an operator only where the topic may be read", async () => {
    const region = await runtime(memory);
    const subscription = { id: "one", topic: "a.b", delivery: { maxAttempts: 1 } };
    const body = JSON.stringify({ ...subscription, sink: "http://127.0.0.1:9/" });
    await region.request("/v1/subscriptions", { method: "POST", headers: json, body });
    await region.publish("a.b", eventText("lost"));
    const groups = async (subscribe: string): Promise<unknown[]> => {
      const mesh = { subscribe: [subscribe], operator: true };
      const response = await region.request("/v1/dead-letters/groups", {}, mesh);
      return ((await response.json()) as { groups: unknown[] }).groups;
    };
    await vi.waitUntil(async () => (await groups("a.*")).length === 1, { timeout: 10_000 });
    expect(await groups("z.*")).toEqual([]);
  });
});

describe("live tails that do not read", () => {
  it("hold one page each, and publishing goes on beside them", async () => {
    const region = await runtime(memory);
    const filler = "x".repeat(100_000);
    for (let at = 0; at < 60; at += 1) {
      await region.publish("big.topic", eventText(`big-${at}`, { data: filler }));
    }
    const warnings: string[] = [];
    const onWarning = (warning: Error): void => void warnings.push(warning.name);
    process.on("warning", onWarning);
    const token = await region.token();
    const path = "/v1/stream?topic=big.topic&from=earliest";
    const tails = Array.from({ length: 40 }, () => {
      const tail = connect(Number(new URL(region.url).port), "127.0.0.1");
      tail.write(`GET ${path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${token}\r\n\r\n`);
      return tail.pause();
    });
    for (let at = 0; at < 5; at += 1) {
      expect((await region.publish("other.topic", eventText(`live-${at}`))).status).toBe(200);
    }
    process.off("warning", onWarning);
    for (const tail of tails) tail.destroy();
    expect(warnings).toEqual([]);
    expect(await region.ids("other.topic")).toHaveLength(5);
  });
});
