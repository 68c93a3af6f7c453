import { connect, type Socket } from "node:net";
import { request, type IncomingHttpHeaders } from "node:http";
import { MeshError } from "@fleetmesh/core";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { HttpDoor, type HttpDoorOptions } from "../src/http/http-door.ts";
import { HttpServer } from "../src/http/http-server.ts";
import { doorParts, eventText, soon, until, type DoorParts } from "./door-fixture.ts";

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Record<string, unknown>;
}

let parts: DoorParts;
let door: HttpDoor;
let server: HttpServer;

async function open(options: Partial<HttpDoorOptions> = {}): Promise<void> {
  parts = doorParts();
  door = new HttpDoor({ ...parts, ...options });
  server = new HttpServer({ listen: { host: "127.0.0.1", port: 0 }, door, logger: parts.logger });
  await server.start();
}

beforeEach(async () => {
  await open();
});

afterEach(async () => {
  parts.intake.release();
  await server.stop(soon());
});

const structured = { "content-type": "application/cloudevents+json" };
const batch = { "content-type": "application/cloudevents-batch+json" };

interface Sent {
  readonly topic?: string;
  readonly method?: string;
  readonly token?: string;
  readonly headers?: Record<string, string>;
}

function send(body: string | Buffer, sent: Sent = {}): Promise<Answer> {
  const {
    topic = "vehicle.telemetry",
    method = "POST",
    token = "any",
    headers = structured,
  } = sent;
  return new Promise((resolve, reject) => {
    const authorization = token === "" ? {} : { authorization: `Bearer ${token}` };
    const path = `/v1/topics/${topic}/events`;
    const all = { ...authorization, ...headers };
    const outgoing = request(
      { host: "127.0.0.1", port: server.port, path, method, headers: all, agent: false },
      (incoming) => {
        const chunks: Buffer[] = [];
        incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
        incoming.on("end", () => {
          const text = Buffer.concat(chunks).toString();
          const parsed = (text === "" ? {} : JSON.parse(text)) as Record<string, unknown>;
          resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, body: parsed });
        });
      },
    );
    outgoing.on("error", reject);
    outgoing.end(body);
  });
}

/** A raw connection, and all that came on it so far. */
function raw(): { socket: Socket; text: () => string; ended: Promise<void> } {
  const socket = connect(server.port, "127.0.0.1");
  let text = "";
  socket.on("data", (chunk) => (text += chunk.toString()));
  socket.on("error", () => undefined);
  const ended = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  return { socket, text: () => text, ended };
}

const head = (length: number, more = ""): string =>
  `POST /v1/topics/vehicle.telemetry/events HTTP/1.1\r\nhost: x\r\nauthorization: Bearer any\r\n` +
  `content-type: application/cloudevents+json\r\ncontent-length: ${length}\r\n${more}\r\n`;

describe("http door", () => {
  it("takes structured, binary and batched events and says how many", async () => {
    expect((await send(eventText("a"))).body).toEqual({ accepted: 1 });
    const ce = { "ce-specversion": "1.0", "ce-id": "b", "ce-source": "/s", "ce-type": "t" };
    const binary = await send("{}", { headers: { ...ce, "content-type": "application/json" } });
    expect(binary).toMatchObject({ status: 200, body: { accepted: 1 } });
    const many = await send(`[${eventText("c")},${eventText("d")}]`, { headers: batch });
    expect(many).toMatchObject({ status: 200, body: { accepted: 2 } });
    expect(parts.intake.eventIds).toEqual(["a", "b", "c", "d"]);
    expect(parts.intake.submissions.map(({ events }) => events.length)).toEqual([1, 1, 2]);
    const text = await parts.registry.metrics();
    expect(text).toContain(
      'fleetmesh_events_received_total{topic="vehicle.telemetry",door="http"} 4',
    );
  });

  it("answers only when the intake has the events", async () => {
    parts.intake.isHeld = true;
    let isAnswered = false;
    const answer = send(eventText("a")).then((got) => {
      isAnswered = true;
      return got;
    });
    await parts.intake.called(1);
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(isAnswered).toBe(false);
    parts.intake.release();
    expect((await answer).status).toBe(200);
  });

  it("accepts an empty batch without asking the intake", async () => {
    expect((await send("[]", { headers: batch })).body).toEqual({ accepted: 0 });
    expect(parts.intake.submissions).toEqual([]);
  });

  it("asks for a token first, then looks at the topic's grammar, then at the permission", async () => {
    const noToken = await send("{", { topic: "BAD", token: "" });
    expect(noToken).toMatchObject({ status: 401, body: { code: "MESH-3001" } });
    expect(noToken.headers["www-authenticate"]).toBe('Bearer realm="fleetmesh"');
    expect(noToken.headers["content-type"]).toBe("application/problem+json");
    expect(await send("{", { token: "no" })).toMatchObject({ status: 401 });
    expect(await send("{", { topic: "BAD", token: "car" })).toMatchObject({ status: 400 });
    parts.intake.failure = new MeshError("TOPIC_UNKNOWN", "No such topic");
    const forbidden = await send(eventText("a"), { topic: "plant.x", token: "car" });
    expect(forbidden).toMatchObject({ status: 403, body: { code: "MESH-3003" } });
    const unknown = await send(eventText("a"), { topic: "vehicle.x", token: "car" });
    expect(unknown).toMatchObject({ status: 404, body: { code: "MESH-5002" } });
    const text = await parts.registry.metrics();
    expect(text).toContain('fleetmesh_auth_rejected_total{topic="",reason="missing"} 1');
    expect(text).toContain('fleetmesh_auth_rejected_total{topic="",reason="invalid"} 1');
    // A name that a stranger made up makes no series.
    expect(text).toContain('fleetmesh_auth_rejected_total{topic="",reason="not_permitted"} 1');
    expect(text).not.toContain("plant.x");
    parts.metrics.knows({ names: () => ["plant.x"], has: (topic) => topic === "plant.x" });
    await send(eventText("a"), { topic: "plant.x", token: "car" });
    const known = await parts.registry.metrics();
    expect(known).toContain(
      'fleetmesh_auth_rejected_total{topic="plant.x",reason="not_permitted"} 1',
    );
    expect(known).toContain('fleetmesh_events_received_total{topic="plant.x",door="http"} 0');
    expect(text).toContain('fleetmesh_door_rejected_total{door="http",code="MESH-5002"} 1');
  });

  it("reads the token from the access_token query parameter too", async () => {
    const { socket, text } = raw();
    const body = eventText("q");
    socket.write(
      `POST /v1/topics/vehicle.telemetry/events?access_token=any HTTP/1.1\r\nhost: x\r\n` +
        `content-type: application/cloudevents+json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
    );
    await until(() => text().includes("\r\n\r\n{"));
    expect(text()).toContain("200 OK");
    socket.destroy();
  });

  it("throttles an address after too many bad tokens, with Retry-After", async () => {
    for (let at = 0; at < 5; at += 1) await send("", { token: "guess" });
    const answer = await send(eventText("a"), { token: "guess" });
    expect(answer).toMatchObject({ status: 429, body: { code: "MESH-3004" } });
    expect(Number(answer.headers["retry-after"])).toBeGreaterThan(0);
  });

  it("names the broken event of a batch and stores none of it", async () => {
    const answer = await send(`[${eventText("a")},{"specversion":"1.0"}]`, { headers: batch });
    expect(answer).toMatchObject({ status: 400, body: { code: "MESH-1001", index: 1 } });
    expect(parts.intake.submissions).toEqual([]);
  });

  it("passes on what the intake says: conflict with index, full with Retry-After, stopping", async () => {
    const details = { details: { index: 0 } };
    parts.intake.failure = new MeshError("EVENT_CONFLICT", "Other bytes", details);
    expect(await send(eventText("a"))).toMatchObject({ status: 409, body: { index: 0 } });
    parts.intake.failure = new MeshError("BUFFER_FULL", "Full", { retryAfterSeconds: 7 });
    const full = await send(eventText("a"));
    expect(full.status).toBe(503);
    expect(full.headers["retry-after"]).toBe("7");
    parts.intake.failure = new MeshError("OVERLOADED", "Slow down");
    expect((await send(eventText("a"))).headers["retry-after"]).toBe("1");
  });

  it("says 415 to types and encodings that it does not read", async () => {
    const avro = { "content-type": "application/cloudevents+avro" };
    expect((await send("x", { headers: avro })).status).toBe(415);
    const zipped = { ...structured, "content-encoding": "gzip" };
    expect((await send(eventText("a"), { headers: zipped })).status).toBe(415);
  });

  it("says 405 with Allow, and leaves other methods on the path to who serves them", async () => {
    const answer = await send("", { method: "PUT" });
    expect(answer.status).toBe(405);
    expect(answer.headers.allow).toBe("POST");
    await server.stop(soon());
    await open({ otherMethods: ["GET"] });
    expect((await send("", { method: "GET" })).status).toBe(404);
    expect((await send("", { method: "PUT" })).headers.allow).toBe("POST, GET");
  });

  it("refuses a 10 MB event, answers it readably and goes on with the same connection", async () => {
    const { socket, text } = raw();
    const size = 10 * 1024 * 1024;
    socket.write(head(size));
    await until(() => text().includes("413 "));
    expect(door.bytesInFlight).toBe(0);
    const chunk = Buffer.alloc(1024 * 1024, 32);
    for (let at = 0; at < 10; at += 1) socket.write(chunk);
    const body = eventText("next");
    socket.write(head(body.length) + body);
    await until(() => text().includes("200 OK"));
    expect(parts.intake.eventIds).toEqual(["next"]);
    socket.destroy();
  });

  it("cuts off a sender of an endless body without a length, never holding more than the bound", async () => {
    const { socket, text, ended } = raw();
    socket.write(head(0).replace("content-length: 0", "transfer-encoding: chunked"));
    const piece = Buffer.concat([
      Buffer.from("10000\r\n"),
      Buffer.alloc(65_536, 32),
      Buffer.from("\r\n"),
    ]);
    let held = 0;
    const pump = setInterval(() => {
      held = Math.max(held, door.bytesInFlight);
      if (socket.writableLength < 1_000_000) for (let at = 0; at < 8; at += 1) socket.write(piece);
    }, 1);
    await ended;
    clearInterval(pump);
    expect(text()).toContain("413 ");
    expect(held).toBeLessThanOrEqual(2 * 256 * 1024 + 4096);
    expect(door.bytesInFlight).toBe(0);
  });

  it("asks for the body of a careful sender only when it will be read", async () => {
    const refused = raw();
    refused.socket.write(head(10_000_000, "expect: 100-continue\r\n"));
    await until(() => refused.text().includes("413 "));
    expect(refused.text()).not.toContain("100 Continue");
    await refused.ended;
    const taken = raw();
    const body = eventText("a");
    taken.socket.write(head(body.length, "expect: 100-continue\r\n"));
    await until(() => taken.text().includes("100 Continue"));
    taken.socket.write(body);
    await until(() => taken.text().includes("200 OK"));
    taken.socket.destroy();
  });

  it("bounds the events of a batch", async () => {
    await server.stop(soon());
    await open({ limits: { batchEventsMax: 2 } });
    const three = `[${["a", "b", "c"].map((id) => eventText(id)).join()}]`;
    const answer = await send(three, { headers: batch });
    expect(answer).toMatchObject({ status: 413, body: { code: "MESH-1008" } });
  });

  it("bounds the bytes in flight over all requests and recovers", async () => {
    await server.stop(soon());
    await open({ limits: { inFlightBytesMax: 1_000 } });
    parts.intake.isHeld = true;
    const first = send(eventText("a", 800));
    await parts.intake.called(1);
    const busy = await send(eventText("b", 800));
    expect(busy).toMatchObject({ status: 503, body: { code: "MESH-5011" } });
    expect(busy.headers["retry-after"]).toBe("1");
    parts.intake.release();
    expect((await first).status).toBe(200);
    expect((await send(eventText("b", 800))).status).toBe(200);
    expect(door.bytesInFlight).toBe(0);
  });

  it("forgets a sender that goes away in the middle of its body", async () => {
    const { socket } = raw();
    socket.write(`${head(1_000)}{"specversion"`);
    await until(() => door.bytesInFlight > 0);
    socket.destroy();
    await until(() => door.bytesInFlight === 0);
    expect(parts.intake.submissions).toEqual([]);
  });
});
