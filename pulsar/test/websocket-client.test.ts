import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { systemChance, systemClock } from "@fleetmesh/core";
import { afterEach, describe, expect, it } from "vitest";
import { WebSocketServer, type WebSocket } from "ws";
import type { OutgoingMessage } from "../src/pulsar-client.ts";
import { WebSocketPulsarClient } from "../src/websocket-pulsar-client.ts";
import { encodeMessageId } from "../src/websocket/message-id-text.ts";

interface Frame {
  readonly context: string;
  readonly payload: string;
  readonly replicationClusters?: readonly string[];
}

type OnConnect = (socket: WebSocket, request: IncomingMessage) => void;

const limits = { bytesInFlightMax: 1_000_000, timeoutMs: 10_000 };
const open: { close: () => unknown }[] = [];
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close();
});

/** A listener in Pulsar's place that says what it is told to. */
async function imposter(
  onConnect: OnConnect,
  options: { readonly autoPong?: boolean; readonly token?: string } = {},
): Promise<WebSocketPulsarClient> {
  const { autoPong = true, token } = options;
  const server = new WebSocketServer({ port: 0, host: "127.0.0.1", autoPong });
  server.on("connection", onConnect);
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const client = new WebSocketPulsarClient({
    ...{ url: `ws://127.0.0.1:${port}`, tenant: "t", namespace: "n" },
    ...{ clock: systemClock, chance: systemChance, keepAliveMs: 50, requestMsMax: 300 },
    ...{ silenceMsMax: 100, token: token === undefined ? undefined : () => Promise.resolve(token) },
  });
  open.push({
    close: () => {
      for (const socket of server.clients) socket.terminate();
      server.close();
    },
  });
  open.push({ close: () => client.stop(AbortSignal.timeout(500)) });
  return client;
}

const frameOf = (data: unknown): Frame => JSON.parse(String(data)) as Frame;
const messageOf = (text: string, rest: Partial<OutgoingMessage> = {}): OutgoingMessage => ({
  ...{ payload: Buffer.from(text), properties: {} },
  ...rest,
});
const receipt = ({ context }: Frame, entry: number): string => {
  const messageId = encodeMessageId({ ledger: 1, entry, batch: -1 });
  return JSON.stringify({ result: "ok", messageId, context });
};

describe("A producer over a WebSocket", () => {
  it("fails all that is not acknowledged when one message is refused, and is over", async () => {
    const client = await imposter((socket) =>
      socket.on("message", (data) => {
        const frame = frameOf(data);
        const refusal = { result: "send-error:8", errorMsg: "full", context: frame.context };
        socket.send(frame.context === "2" ? JSON.stringify(refusal) : receipt(frame, 7));
      }),
    );
    const producer = await client.producer("a", limits);
    const fates = await Promise.allSettled([1, 2, 3].map((n) => producer.send(messageOf(`${n}`))));
    expect(fates.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "rejected"]);
    expect(fates[0]).toMatchObject({ value: { ledger: 1, entry: 7, batch: -1 } });
    expect(await producer.ended).toMatchObject({ kind: "PULSAR_UNAVAILABLE" });
    await expect(producer.send(messageOf("4"))).rejects.toMatchObject({
      kind: "PULSAR_UNAVAILABLE",
    });
  });

  it("takes a server that acknowledges nothing for dead", async () => {
    const client = await imposter(() => undefined);
    const producer = await client.producer("a", { ...limits, timeoutMs: 100 });
    await expect(producer.send(messageOf("1"))).rejects.toThrow("No receipt");
    expect(await producer.ended).toMatchObject({ kind: "PULSAR_UNAVAILABLE" });
  });

  it("finds out that nobody answers any more, though the connection stands", async () => {
    const client = await imposter(() => undefined, { autoPong: false });
    const producer = await client.producer("a", limits);
    expect(await producer.ended).toMatchObject({
      message: expect.stringContaining("does not answer any more") as string,
    });
  });

  it("has no messages with different destinations on their way at a time", async () => {
    const under: Frame[][] = [];
    const client = await imposter((socket) => {
      let waiting: Frame[] = [];
      socket.on("message", (data) => {
        waiting.push(frameOf(data));
        if (waiting.length > 1) return;
        setTimeout(() => {
          under.push([...waiting]);
          for (const frame of waiting.splice(0)) socket.send(receipt(frame, 1));
          waiting = [];
        }, 20);
      });
    });
    const producer = await client.producer("a", limits);
    const destinations = [undefined, undefined, [], [], ["west"], undefined];
    await Promise.all(destinations.map((to) => producer.send(messageOf("x", { replicateTo: to }))));
    const groups = under.map((frames) => frames.map((frame) => frame.replicationClusters));
    expect(groups).toEqual([
      [undefined, undefined],
      [["__local__"], ["__local__"]],
      [["west"]],
      [undefined],
    ]);
  });

  it("sends its token as a header, and none in the address", async () => {
    const requests: IncomingMessage[] = [];
    const client = await imposter((_, request) => requests.push(request), { token: "secret" });
    await client.producer("a", { ...limits, name: "n o" });
    const [{ url = "", headers } = { headers: {} }] = requests;
    expect(headers.authorization).toBe("Bearer secret");
    expect(url).toContain("/ws/v2/producer/persistent/t/n/a?producerName=n+o");
    expect(url).not.toContain("secret");
  });

  it("refuses an answer that is none, and ends", async () => {
    const client = await imposter((socket) => socket.on("message", () => socket.send("{")));
    const producer = await client.producer("a", limits);
    await expect(producer.send(messageOf("1"))).rejects.toThrow();
    await producer.ended;
  });
});

describe("A reader over a WebSocket", () => {
  it("asks anew after a silence, behind the last message that it gave out", async () => {
    const asked: string[] = [];
    const id = { ledger: 3, entry: 4, batch: -1 };
    const client = await imposter((socket, { url = "" }) => {
      asked.push(new URLSearchParams(url.split("?")[1]).get("messageId") ?? "");
      const message = { messageId: encodeMessageId(id), payload: "eA==", properties: {} };
      // The second time too: a server that repeats itself is not believed.
      socket.send(JSON.stringify({ ...message, publishTime: "2026-01-01T00:00:00.5Z" }));
    });
    const reader = await client.reader("a", { after: "earliest", queueMax: 10 });
    const [first] = await reader.next(5, AbortSignal.timeout(2_000));
    expect(first).toMatchObject({ id, publishedMs: Date.parse("2026-01-01T00:00:00.500Z") });
    const waiting = reader.next(5, AbortSignal.timeout(1_000));
    await expect.poll(() => asked.length, { timeout: 5_000 }).toBeGreaterThan(1);
    expect(asked.slice(0, 2)).toEqual(["earliest", encodeMessageId(id)]);
    expect(await waiting).toEqual([]);
  });
});

describe("The WebSocket client", () => {
  it("takes web socket addresses only, and none with a login in it", () => {
    const at = { tenant: "t", namespace: "n", clock: systemClock, chance: systemChance };
    const client = (url: string) => () => new WebSocketPulsarClient({ url, ...at });
    for (const url of ["http://a", "pulsar://a:1", "ws://u:p@a", "ws://a,", ""])
      expect(client(url), url).toThrow(expect.objectContaining({ kind: "CONFIG_INVALID" }));
    for (const url of ["ws://a", "wss://a:8443/ws/v2/, wss://b"])
      expect(client(url), url).not.toThrow();
  });

  it("says that nobody answers", async () => {
    const nobody = new WebSocketServer({ port: 0, host: "127.0.0.1" });
    await once(nobody, "listening");
    const { port } = nobody.address() as AddressInfo;
    await new Promise((resolve) => nobody.close(resolve));
    const at = { tenant: "t", namespace: "n", clock: systemClock, chance: systemChance };
    const client = new WebSocketPulsarClient({ url: `ws://127.0.0.1:${port}`, ...at });
    await expect(client.start()).rejects.toMatchObject({ kind: "PULSAR_UNAVAILABLE" });
  });
});
