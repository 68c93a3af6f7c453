import { mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { createServer, type RequestListener } from "node:http";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { spawnSync } from "node:child_process";
import { createLogger, MeshError } from "@fleetmesh/core";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { HttpDoor } from "../src/http/http-door.ts";
import { HttpServer, type HttpServerOptions } from "../src/http/http-server.ts";
import { doorParts, eventText, soon, until, type DoorParts } from "./door-fixture.ts";

let folder: string;
let parts: DoorParts;
const servers: HttpServer[] = [];
const tcp = { host: "127.0.0.1", port: 0 };

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "http-server-"));
  parts = doorParts();
});

afterEach(async () => {
  parts.intake.release();
  for (const server of servers.splice(0)) await server.stop(soon());
  await rm(folder, { recursive: true, force: true });
});

async function start(options: Partial<HttpServerOptions> = {}): Promise<HttpServer> {
  const door = new HttpDoor(parts);
  const server = new HttpServer({ listen: tcp, door, logger: parts.logger, ...options });
  servers.push(server);
  await server.start();
  return server;
}

function raw(to: { port: number; host: string } | { path: string }) {
  const socket = connect(to);
  let text = "";
  const seen = { isClosed: false };
  socket.on("data", (chunk) => (text += chunk.toString()));
  socket.on("error", () => undefined);
  socket.once("close", () => (seen.isClosed = true));
  return { socket, text: () => text, seen };
}

const post = (body: string): string =>
  `POST /v1/topics/a/events HTTP/1.1\r\nhost: x\r\nauthorization: Bearer any\r\n` +
  `content-type: application/cloudevents+json\r\ncontent-length: ${body.length}\r\n\r\n${body}`;

describe("http server", () => {
  it("serves the door and hands all else to the fallback, or 404", async () => {
    const fallback: RequestListener = (_request, response) => void response.end("mine");
    const server = await start({ fallback });
    const base = `http://127.0.0.1:${server.port}`;
    expect(await (await fetch(`${base}/livez`)).text()).toBe("mine");
    const bare = await start();
    const missing = await fetch(`http://127.0.0.1:${bare.port}/livez`);
    expect(missing.status).toBe(404);
    expect(await missing.json()).toMatchObject({ code: "MESH-5008" });
  });

  it("answers for a fallback that fails", async () => {
    const server = await start({
      fallback: () => {
        throw new Error("secret detail");
      },
    });
    const answer = await fetch(`http://127.0.0.1:${server.port}/x`);
    expect(answer.status).toBe(500);
    expect(await answer.text()).not.toContain("secret detail");
  });

  it("logs its own failures, and not what senders do wrong", async () => {
    const messages: string[] = [];
    const server = await start({
      logger: createLogger(
        { part: "test", level: "error" },
        { write: (line) => void messages.push(line) },
      ),
      fallback: ({ url }) => {
        throw url === "/own" ? new Error("broken") : new MeshError("NOT_FOUND", "not here");
      },
    });
    const base = `http://127.0.0.1:${server.port}`;
    expect((await fetch(`${base}/theirs`)).status).toBe(404);
    expect(messages).toEqual([]);
    expect((await fetch(`${base}/own`)).status).toBe(500);
    expect(messages).toHaveLength(1);
  });

  it("says PORT_TAKEN for a port and for a socket path in use", async () => {
    const server = await start();
    await expect(start({ listen: { ...tcp, port: server.port } })).rejects.toMatchObject({
      kind: "PORT_TAKEN",
    });
    const socketPath = join(folder, "door.sock");
    await start({ listen: { socketPath } });
    await expect(start({ listen: { socketPath } })).rejects.toMatchObject({ kind: "PORT_TAKEN" });
  });

  it("listens on a socket path with mode 0660, and replaces a stale socket file", async () => {
    const socketPath = join(folder, "door.sock");
    const script = `require("net").createServer().listen(${JSON.stringify(socketPath)}, () => process.kill(process.pid, "SIGKILL"))`;
    spawnSync(process.execPath, ["-e", script]);
    expect((await stat(socketPath)).isSocket()).toBe(true);
    await start({ listen: { socketPath } });
    expect((await stat(socketPath)).mode & 0o777).toBe(0o660);
    const { socket, text } = raw({ path: socketPath });
    socket.write(post(eventText("a")));
    await until(() => text().includes('{"accepted":1}'));
    socket.destroy();
  });

  it("never removes a file that is not a socket", async () => {
    const socketPath = join(folder, "notes.txt");
    await writeFile(socketPath, "mine");
    await expect(start({ listen: { socketPath } })).rejects.toMatchObject({
      kind: "CONFIG_INVALID",
    });
    expect((await stat(socketPath)).size).toBe(4);
  });

  it("stops: answers what is in hand, closes what is idle, takes nothing new", async () => {
    const server = await start();
    const { port } = server;
    const idle = raw({ host: "127.0.0.1", port });
    const busy = raw({ host: "127.0.0.1", port });
    parts.intake.isHeld = true;
    busy.socket.write(post(eventText("a")));
    await parts.intake.called(1);
    const stopped = server.stop(soon());
    await until(() => idle.seen.isClosed);
    parts.intake.release();
    await stopped;
    await until(() => busy.seen.isClosed);
    expect(busy.text()).toContain('{"accepted":1}');
    expect(busy.text().toLowerCase()).toContain("connection: close");
    const late = raw({ host: "127.0.0.1", port });
    await until(() => late.seen.isClosed);
    expect(late.text()).toBe("");
  });

  it("answers 503 to a request that comes on an open connection while it stops", async () => {
    const server = await start();
    const { socket, text, seen } = raw({ host: "127.0.0.1", port: server.port });
    parts.intake.isHeld = true;
    socket.write(post(eventText("a")));
    await parts.intake.called(1);
    const other = raw({ host: "127.0.0.1", port: server.port });
    other.socket.write(post(eventText("b")).slice(0, 60));
    await new Promise((resolve) => setTimeout(resolve, 20));
    const stopped = server.stop(soon());
    other.socket.write(post(eventText("b")).slice(60));
    await until(() => other.seen.isClosed);
    expect(other.text()).toContain("503 ");
    expect(other.text()).toContain("MESH-4005");
    parts.intake.release();
    await stopped;
    await until(() => seen.isClosed);
    expect(text()).toContain("200 OK");
    expect(parts.intake.eventIds).toEqual(["a"]);
  });

  it("cuts what does not end when the deadline passes", async () => {
    const server = await start();
    parts.intake.isHeld = true;
    const { socket, seen } = raw({ host: "127.0.0.1", port: server.port });
    socket.write(post(eventText("a")));
    await parts.intake.called(1);
    await server.stop(AbortSignal.timeout(50));
    await until(() => seen.isClosed);
  });

  it("cuts senders of slow headers and slow bodies, and refuses endless headers", async () => {
    const limits = { headersTimeoutMs: 100, requestTimeoutMs: 200, headerBytesMax: 4_096 };
    const server = await start({ limits });
    const to = { host: "127.0.0.1", port: server.port };
    const slowHeaders = raw(to);
    slowHeaders.socket.write("POST /v1/topics/a/events HTTP/1.1\r\nhost: x\r\n");
    const slowBody = raw(to);
    slowBody.socket.write(post(eventText("a")).slice(0, -5));
    const endless = raw(to);
    endless.socket.write(`GET / HTTP/1.1\r\nx: ${"x".repeat(8_000)}`);
    await until(() => [slowHeaders, slowBody, endless].every(({ seen }) => seen.isClosed));
    expect(slowHeaders.text()).toContain("408 ");
    expect(endless.text()).toContain("431 ");
    expect(parts.intake.submissions).toEqual([]);
  });

  it("survives any bytes", async () => {
    const server = await start();
    let seed = 11;
    const next = (): number => (seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0) >>> 16;
    const good = post(eventText("x"));
    const noisy = Array.from({ length: 200 }, (_, round) => {
      const { socket } = raw({ host: "127.0.0.1", port: server.port });
      const noise = Buffer.from(Array.from({ length: next() % 300 }, () => next() & 255));
      const cutAt = next() % good.length;
      socket.write(
        round % 2 === 0 ? noise : Buffer.concat([Buffer.from(good.slice(0, cutAt)), noise]),
      );
      return socket;
    });
    const { socket, text } = raw({ host: "127.0.0.1", port: server.port });
    socket.write(good);
    await until(() => text().includes("200 OK"));
    for (const one of [...noisy, socket]) one.destroy();
  });

  it("bounds its connections", async () => {
    const server = await start({ limits: { connectionsMax: 2 } });
    const sockets = Array.from({ length: 10 }, () => raw({ host: "127.0.0.1", port: server.port }));
    await until(() => sockets.filter(({ seen }) => seen.isClosed).length === 8);
    for (const { socket } of sockets) socket.destroy();
  });

  it("mounts in a server of somebody else's", async () => {
    const door = new HttpDoor(parts);
    const host = createServer((request, response) => {
      if (door.handles(request)) void door.handle(request, response);
      else response.end("other");
    });
    await new Promise<void>((resolve) => host.listen(0, "127.0.0.1", resolve));
    const address = host.address();
    const port = typeof address === "object" ? (address?.port ?? 0) : 0;
    const answer = await fetch(`http://127.0.0.1:${port}/v1/topics/a/events`, {
      method: "POST",
      headers: { authorization: "Bearer any", "content-type": "application/cloudevents+json" },
      body: eventText("a"),
    });
    expect(await answer.json()).toEqual({ accepted: 1 });
    host.closeAllConnections();
    await new Promise((resolve) => host.close(resolve));
  });
});
