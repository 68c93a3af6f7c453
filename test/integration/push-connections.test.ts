import { seededChance, SimulatedClock, systemClock, type Clock } from "@fleetmesh/core";
import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { HostConnections } from "../../cloud-runtime/src/target/host-connections.ts";
import { HttpTarget } from "../../cloud-runtime/src/target/http-target.ts";
import type { DeliveryOutcome } from "../../cloud-runtime/src/target/target.ts";
import { sampleEvent, sampleSubscription } from "../../cloud-runtime/test/subscription-samples.ts";
import { until } from "./delivery-sink.ts";

const ok = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

/** A server that sees bytes: whole requests come to `answer`, by connection. */
class RawSink {
  readonly requests: string[] = [];
  readonly sockets: Socket[] = [];
  url = "";
  readonly #server: Server;

  constructor(answer: (socket: Socket, request: string) => void, pauses = false) {
    this.#server = createServer({ pauseOnConnect: pauses }, (socket) => {
      this.sockets.push(socket);
      socket.on("error", () => undefined);
      let text = "";
      socket.on("data", (bytes) => {
        text += bytes.toString("latin1");
        const length = /content-length: (\d+)\r\n\r\n/.exec(text);
        if (!length || text.length < length.index + length[0].length + Number(length[1])) return;
        this.requests.push(text);
        text = "";
        answer(socket, this.requests.at(-1) ?? "");
      });
    });
  }

  async start(): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    this.url = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/in?a=b`;
    closers.push(() => {
      for (const socket of this.sockets) socket.destroy();
      return new Promise((resolve) => this.#server.close(resolve));
    });
    return this;
  }
}

function targetTo(url: string, clock: Clock = systemClock, hosts?: HostConnections): HttpTarget {
  const ports = { clock, chance: seededChance(1), allowPrivateSinks: true };
  const options = { ...ports, ...(hosts && { hosts }) };
  const target = new HttpTarget(sampleSubscription({ sink: url }), options);
  closers.push(() => target.stop());
  return target;
}

interface Pushed {
  readonly id?: string;
  readonly data?: string;
  readonly timeoutMs?: number;
}

function push(target: HttpTarget, pushed: Pushed = {}): Promise<DeliveryOutcome> {
  const { id = "1", data = "{}", timeoutMs = 5_000 } = pushed;
  const event = sampleEvent({ id, data });
  const at = { topic: "a", subscription: "s1", timeoutMs, isRedriven: false };
  return new Promise((settle) => target.deliver({ ...at, event, settle }));
}

describe("connections of the HTTP target", () => {
  it("carry one push after another, each with its own headers and bytes", async () => {
    const sink = await new RawSink((socket) => socket.write(ok)).start();
    const target = targetTo(sink.url);
    const datas = ['"short"', JSON.stringify("long ".repeat(40_000)), '"é 漢"', "7"];
    for (const [at, data] of datas.entries())
      expect(await push(target, { id: `é${at}`, data })).toEqual({ kind: "taken", status: "200" });
    expect(sink.sockets).toHaveLength(1);
    sink.requests.forEach((request, at) => {
      const [head = "", body = ""] = request.split("\r\n\r\n");
      expect(head).toMatch(/^POST \/in\?a=b HTTP\/1\.1\r\nhost: 127\.0\.0\.1:\d+\r\n/);
      const event = Buffer.from(body, "latin1").toString();
      expect(event).toContain(`"id":"é${at}"`);
      expect(event.endsWith(`"data":${datas[at]}}`)).toBe(true);
    });
  });

  it("are as many as there are pushes at once, and are used again", async () => {
    const sink = await new RawSink((socket) => socket.write(ok)).start();
    const target = targetTo(sink.url);
    for (let round = 0; round < 3; round += 1)
      await Promise.all(Array.from({ length: 10 }, (_, at) => push(target, { id: `${at}` })));
    expect(sink.sockets).toHaveLength(10);
    const ids = sink.requests.map((request) => /"id":"(\d)"/.exec(request)?.[1]);
    expect(ids.slice(0, 10).sort()).toEqual(Array.from("0123456789"));
    expect(ids.sort()).toEqual(Array.from("000111222333444555666777888999"));
  });

  it.each([
    ["an answer that closes", ok.replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n")],
    ["an answer with something behind it", `${ok}HTTP/1.1 500 No\r\n`],
    ["an answer of HTTP/1.0", ok.replace("1.1", "1.0")],
  ])("are not used again after %s", async (_, answer) => {
    const sink = await new RawSink((socket) => socket.write(answer)).start();
    const target = targetTo(sink.url);
    for (const id of ["1", "2"])
      expect(await push(target, { id })).toMatchObject({ kind: "taken", status: "200" });
    expect(sink.sockets).toHaveLength(2);
  });

  it("close when something comes that nobody asked for", async () => {
    const sink = await new RawSink((socket) => {
      socket.write(ok);
      setImmediate(() => socket.write("HTTP/1.1 500 No\r\n\r\n"));
    }).start();
    const target = targetTo(sink.url);
    expect((await push(target)).kind).toBe("taken");
    await until(() => sink.sockets[0]?.destroyed === true);
    expect((await push(target)).kind).toBe("taken");
  });

  it("end an answer without a length, and one cut off has its status", async () => {
    const sink = await new RawSink((socket) => socket.end("HTTP/1.1 400 No\r\n\r\nbad")).start();
    const target = targetTo(sink.url);
    expect(await push(target)).toEqual({ kind: "refused", status: "400", detail: "bad" });
    const cut = await new RawSink((socket) => {
      socket.write("HTTP/1.1 202 OK\r\ncontent-length: 10\r\n\r\n123", () => socket.destroy());
    }).start();
    expect(await push(targetTo(cut.url))).toEqual({ kind: "taken", status: "202" });
  });

  it("tell what is not HTTP from a target that closes without a word", async () => {
    const talks = await new RawSink((socket) => socket.write("220 mail.example ESMTP\r\n")).start();
    expect(await push(targetTo(talks.url))).toMatchObject({
      ...{ kind: "failed", status: "invalid-response" },
    });
    const silent = await new RawSink((socket) => socket.end()).start();
    expect(await push(targetTo(silent.url))).toMatchObject({ kind: "failed", status: "reset" });
  });

  it("take an answer that comes before the request was read, and are not used again", async () => {
    const sink = await new RawSink(() => undefined, true).start();
    const target = targetTo(sink.url);
    const pushed = push(target, { data: JSON.stringify("x".repeat(16 * 2 ** 20)) });
    await until(() => sink.sockets.length === 1);
    sink.sockets[0]?.write("HTTP/1.1 413 Too large\r\ncontent-length: 0\r\n\r\n");
    expect(await pushed).toMatchObject({ kind: "refused", status: "413" });
    const next = push(target);
    await until(() => sink.sockets.length === 2);
    sink.sockets[1]?.write(ok);
    expect((await next).kind).toBe("taken");
  });

  it("are no more to a host than it may have, shared evenly by all who push there", async () => {
    const held: Socket[] = [];
    const sink = await new RawSink((socket) => held.push(socket)).start();
    const hosts = new HostConnections(6);
    const targets = [1, 2, 3].map(() => targetTo(sink.url, systemClock, hosts));
    const [first, ...others] = targets as [HttpTarget, ...HttpTarget[]];
    expect(first.placesMax).toBe(6);
    const pushes = Array.from({ length: 20 }, (_, at) => push(first, { id: `${at}` }));
    await until(() => held.length === 6);
    for (const other of others) pushes.push(push(other), push(other), push(other));
    expect(targets.map(({ placesMax }) => placesMax)).toEqual([2, 2, 2]);
    await until(() => held.length === 11);
    const isOver = Promise.all(pushes);
    const answering = setInterval(() => {
      for (const socket of held.splice(0)) socket.write(ok);
    }, 1);
    expect(new Set((await isOver).map(({ kind }) => kind))).toEqual(new Set(["taken"]));
    clearInterval(answering);
    await until(() => sink.sockets.filter(({ destroyed }) => !destroyed).length <= 6);
    await Promise.all(others.map((other) => other.stop()));
    expect(first.placesMax).toBe(6);
  });

  it("that a push waits for are waited for in its own time only, and not when it stops", async () => {
    const sink = await new RawSink(() => undefined).start();
    const clock = new SimulatedClock();
    const target = targetTo(sink.url, clock, new HostConnections(1));
    const pushes = [push(target, { timeoutMs: 60_000 }), push(target, { timeoutMs: 1_000 })];
    await until(() => sink.requests.length === 1);
    await clock.advance(1_200);
    expect(await pushes[1]).toMatchObject({ kind: "failed", status: "timeout" });
    pushes.push(push(target));
    await target.stop();
    expect(await pushes[0]).toEqual({ kind: "aborted" });
    expect(await pushes[2]).toEqual({ kind: "aborted" });
    expect(sink.sockets).toHaveLength(1);
  });

  it("give up an answer that never ends when its time is over, on the clock port", async () => {
    const sink = await new RawSink((socket) => socket.write("HTTP/1.1 200 OK\r\n")).start();
    const clock = new SimulatedClock();
    const target = targetTo(sink.url, clock);
    const pushed = push(target, { timeoutMs: 1_000 });
    await until(() => sink.requests.length === 1);
    await clock.advance(900);
    expect(await Promise.race([pushed, Promise.resolve("waits")])).toBe("waits");
    await clock.advance(300);
    expect(await pushed).toMatchObject({ kind: "failed", status: "timeout" });
    await until(() => sink.sockets[0]?.destroyed === true);
  });

  it("close when they are idle, a second before the other side would", async () => {
    const keeps = ok.replace("\r\n\r\n", "\r\nKeep-Alive: timeout=30\r\n\r\n");
    const sink = await new RawSink((socket) => socket.write(keeps)).start();
    const clock = new SimulatedClock();
    const target = targetTo(sink.url, clock);
    await push(target);
    await clock.advance(27_000);
    expect((await push(target)).kind).toBe("taken");
    expect(sink.sockets).toHaveLength(1);
    await clock.advance(29_000);
    await until(() => sink.sockets[0]?.destroyed === true);
    expect((await push(target)).kind).toBe("taken");
    expect(sink.sockets).toHaveLength(2);
  });
});
