import { setTimeout as delay } from "node:timers/promises";
import { MeshError } from "@fleetmesh/core";
import type {
  MessageId,
  OutgoingMessage,
  PulsarAdmin,
  PulsarClient,
  PulsarReader,
  ReaderOptions,
} from "@fleetmesh/pulsar";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  eventually,
  limits,
  messageOf,
  read,
  sendAll,
  shortly,
  soon,
  textOf,
  texts,
  topic,
  whole,
} from "./pulsar-client-probe.ts";

/** One namespace of one cluster, empty at first. */
export interface PulsarClientFixture {
  /** One more client of the namespace, started. */
  readonly open: () => Promise<PulsarClient>;
  readonly admin: PulsarAdmin;
  /** Breaks every connection to the broker, as when the processes that hold them die. */
  readonly cut: () => void;
  /** The broker dies, with all that is in flight, and is back, with all that it has acknowledged, when this resolves. */
  readonly crash?: () => Promise<void>;
  readonly close: () => Promise<void>;
}

export function testPulsarClientContract(
  name: string,
  openFixture: () => Promise<PulsarClientFixture>,
): void {
  describe(`PulsarClient contract: ${name}`, () => {
    let fixture: PulsarClientFixture;
    let client: PulsarClient;

    beforeEach(async () => {
      fixture = await openFixture();
      await fixture.admin.ensureTopic(topic, {});
      client = await fixture.open();
    });
    afterEach(() => fixture.close());

    const reader = (options: Partial<ReaderOptions> = {}): Promise<PulsarReader> =>
      client.reader(topic, { ...whole, ...options });

    describe("a producer", () => {
      it("has thousands of messages on their way and keeps the order of the calls", async () => {
        const producer = await client.producer(topic, limits);
        const sent = texts("event", 5_000);
        const ids = await sendAll(producer, sent);
        const received = await read(await reader(), sent.length);
        expect(received.map(textOf)).toEqual(sent);
        expect(received.map(({ id }) => id)).toEqual(ids);
      });

      it("sends properties, key and bytes as they are, whatever their letters", async () => {
        const producer = await client.producer(topic, limits);
        const properties = { ce_名前: "値 🚗", empty: "", plain: "x".repeat(300) };
        const payload = Uint8Array.from({ length: 256 }, (_, index) => index);
        const sent = [
          { payload, properties, key: "schlüssel 🔑", eventTimeMs: 1_700_000_000_000 },
          { payload: new Uint8Array(1), properties: {} },
        ];
        await producer.send(sent[0] as OutgoingMessage);
        await Promise.all(sent.map((each) => producer.send(each)));
        const received = await read(await reader(), 3);
        const told = received.map(({ payload: bytes, properties: pairs, key }) => {
          return { payload: [...bytes], properties: { ...pairs }, key };
        });
        const [first, second] = [
          { payload: [...payload], properties, key: "schlüssel 🔑" },
          { payload: [0], properties: {}, key: undefined },
        ];
        expect(told).toEqual([first, first, second]);
        for (const { publishedMs } of received)
          expect(Math.abs(publishedMs - Date.now())).toBeLessThan(60_000);
      });

      it("refuses what is too large, and lives on", async () => {
        const producer = await client.producer(topic, limits);
        const size = client.messageBytesMax;
        const tooLarge = messageOf("", { payload: new Uint8Array(size + 1) });
        await expect(producer.send(tooLarge)).rejects.toMatchObject({ kind: "EVENT_TOO_LARGE" });
        const properties = { long: "x".repeat(100) };
        const justToo = { payload: new Uint8Array(size - 50), properties };
        await expect(producer.send(justToo)).rejects.toMatchObject({ kind: "EVENT_TOO_LARGE" });
        await producer.send(messageOf("", { payload: new Uint8Array(size).fill(7) }));
        const [received] = await read(await reader(), 1);
        expect(received?.payload.length).toBe(size);
      });

      it("refuses more than its window, and takes more once it has room", async () => {
        const small = { ...limits, bytesInFlightMax: 1_000 };
        const producer = await client.producer(topic, small);
        const payload = new Uint8Array(400);
        const sends = [1, 2, 3].map(() => producer.send({ payload, properties: {} }));
        const outcomes = await Promise.allSettled(sends);
        expect(outcomes.map(({ status }) => status)).toEqual([
          "fulfilled",
          "fulfilled",
          "rejected",
        ]);
        expect(outcomes[2]).toMatchObject({ reason: { kind: "PULSAR_BUSY" } });
        await producer.send({ payload, properties: {} });
        expect(await read(await reader(), 4, shortly())).toHaveLength(3);
      });

      it("is over when its connection is cut: what is not acknowledged fails, and it says so", async () => {
        const producer = await client.producer(topic, limits);
        await producer.send(messageOf("before"));
        const late = sendAll(producer, texts("late", 100));
        fixture.cut();
        const failure = await late.catch((error: unknown) => error);
        expect(MeshError.is(await producer.ended)).toBe(true);
        const after = producer.send(messageOf("after"));
        await expect(after).rejects.toMatchObject({ kind: "PULSAR_UNAVAILABLE" });
        if (failure instanceof Error) expect(failure).toMatchObject({ kind: "PULSAR_UNAVAILABLE" });
        const next = await eventually(() => client.producer(topic, limits));
        await next.send(messageOf("next"));
      });

      it("finishes what is on its way when it is closed, and takes no more", async () => {
        const producer = await client.producer(topic, limits);
        const sent = texts("event", 200);
        const sends = sendAll(producer, sent);
        await producer.close();
        expect(await sends).toHaveLength(200);
        const after = producer.send(messageOf("after"));
        await expect(after).rejects.toMatchObject({ kind: "STOPPING" });
        await producer.ended;
      });

      it("is the only one of its name; the name is free once it is closed or its process is gone", async () => {
        const other = await fixture.open();
        const named = { ...limits, name: "node-1" };
        const first = await client.producer(topic, named);
        for (const each of [client, other])
          await expect(each.producer(topic, named)).rejects.toMatchObject({
            kind: "PULSAR_FENCED",
          });
        await other.producer(topic, { ...limits, name: "node-2" });
        await first.send(messageOf("still mine"));
        await first.close();
        const second = await other.producer(topic, named);
        fixture.cut();
        await second.ended;
        await eventually(() => client.producer(topic, named));
      });

      it("can be taken over: its later messages are refused", async (context) => {
        if (!client.can.takeOver) return context.skip("this client refuses to take a name over");
        const other = await fixture.open();
        const named = { ...limits, name: "node-1" };
        const first = await client.producer(topic, named);
        const before = await sendAll(first, texts("first", 50));
        expect(before).toHaveLength(50);
        const second = await other.producer(topic, { ...named, takeOver: true });
        await second.send(messageOf("second"));
        await expect(first.send(messageOf("too late"))).rejects.toThrow();
        await first.ended;
        await second.send(messageOf("second again"));
        const expected = [...texts("first", 50), "second", "second again"];
        const received = await read(await reader(), 53, AbortSignal.timeout(2_000));
        expect(received.map(textOf)).toEqual(expected);
      });

      it("of a topic that is not there is TOPIC_UNKNOWN, as a reader of it is", async () => {
        const unknown = { kind: "TOPIC_UNKNOWN" };
        await expect(client.producer("no.topic", limits)).rejects.toMatchObject(unknown);
        await expect(client.reader("no.topic", whole)).rejects.toMatchObject(unknown);
      });
    });

    describe("a reader", () => {
      it("starts behind any message, also in the middle of what was sent together", async () => {
        const producer = await client.producer(topic, limits);
        const sent = texts("event", 60);
        const ids = [
          ...(await sendAll(producer, sent.slice(0, 25))),
          await producer.send(messageOf(sent[25] ?? "")),
          ...(await sendAll(producer, sent.slice(26))),
        ];
        for (const at of [0, 1, 12, 24, 25, 26, 40, 58]) {
          const part = await reader({ after: ids[at] as MessageId });
          const received = await read(part, sent.length - at - 1);
          expect(received.map(textOf), `behind ${at}`).toEqual(sent.slice(at + 1));
          await part.close();
        }
        const last = await reader({ after: ids[59] as MessageId });
        expect(await last.next(10, shortly())).toEqual([]);
        await producer.send(messageOf("new"));
        expect((await read(last, 1)).map(textOf)).toEqual(["new"]);
      });

      it("from the latest on gives what is sent after it was opened, also over a cut", async (context) => {
        if (!client.can.readLatest)
          return context.skip("this client refuses to read from the latest");
        const producer = await client.producer(topic, limits);
        await sendAll(producer, texts("old", 30));
        const latest = await reader({ after: "latest" });
        fixture.cut();
        const next = await eventually(() => client.producer(topic, limits));
        await sendAll(next, texts("new", 30));
        expect((await read(latest, 30)).map(textOf)).toEqual(texts("new", 30));
      });

      it("waits for messages, and gives none when it is told to stop waiting", async () => {
        const waiting = await reader();
        expect(await waiting.next(10, AbortSignal.abort())).toEqual([]);
        expect(await waiting.next(10, shortly())).toEqual([]);
        const first = waiting.next(10, soon());
        const producer = await client.producer(topic, limits);
        await producer.send(messageOf("at last"));
        expect((await first).map(textOf)).toEqual(["at last"]);
      });

      it("with room for few messages gives all of many, at most as many as asked for", async () => {
        const producer = await client.producer(topic, limits);
        const sent = texts("event", 3_000);
        await sendAll(producer, sent.slice(0, 2_800));
        for (const text of sent.slice(2_800)) await producer.send(messageOf(text));
        const narrow = await reader({ queueMax: 10 });
        const received: string[] = [];
        while (received.length < sent.length) {
          const messages = await narrow.next(7, soon());
          expect(messages.length).toBeGreaterThan(0);
          expect(messages.length).toBeLessThanOrEqual(7);
          received.push(...messages.map(textOf));
        }
        expect(received).toEqual(sent);
      });

      it("gives each message once and in order over cuts, however many", async () => {
        const sent = texts("event", 2_000);
        const producer = await client.producer(topic, limits);
        await sendAll(producer, sent);
        const cuttable = await reader({ queueMax: 50 });
        const received: string[] = [];
        for (let round = 0; received.length < sent.length; round += 1) {
          received.push(...(await cuttable.next(97, soon())).map(textOf));
          if (round % 4 === 0) fixture.cut();
        }
        expect(received).toEqual(sent);
      });

      it("is over when it is closed, also for who waits", async () => {
        const closing = await reader();
        const waiting = closing.next(10, soon());
        waiting.catch(() => undefined);
        await closing.close();
        await expect(waiting).rejects.toMatchObject({ kind: "STOPPING" });
      });

      it("of a compacted topic gives the last message of each key, then what is new", async (context) => {
        if (!client.can.readCompacted) return context.skip("this client gives every message");
        const producer = await client.producer(topic, limits);
        const keyed = (text: string, key: string): Promise<MessageId> =>
          producer.send(messageOf(text, { key }));
        await Promise.all([keyed("a1", "a"), keyed("b1", "b"), keyed("a2", "a")]);
        await keyed("c1", "c");
        await Promise.all([keyed("b2", "b"), keyed("d1", "d")]);
        await fixture.admin.compact(topic);
        const compacted = await reader({ isCompacted: true });
        expect((await read(compacted, 4)).map(textOf)).toEqual(["a2", "c1", "b2", "d1"]);
        await keyed("a3", "a");
        expect((await read(compacted, 1)).map(textOf)).toEqual(["a3"]);
        const every = await read(await reader(), 7);
        expect(every.map(textOf)).toEqual(["a1", "b1", "a2", "c1", "b2", "d1", "a3"]);
      });

      it("gives every message at least, and new ones, where it cannot read what was compacted", async (context) => {
        if (client.can.readCompacted) return context.skip("this client reads it");
        const producer = await client.producer(topic, limits);
        for (const text of ["a1", "a2"]) await producer.send(messageOf(text, { key: "a" }));
        await fixture.admin.compact(topic);
        const every = await reader({ isCompacted: true });
        expect((await read(every, 2)).map(textOf)).toEqual(["a1", "a2"]);
      });

      it("refuses plainly what the client cannot do", async () => {
        const { takeOver, readLatest } = client.can;
        const limited = { kind: "PULSAR_LIMITED" };
        const taking = client.producer(topic, { ...limits, name: "node", takeOver: true });
        if (takeOver) await expect(taking).resolves.toBeDefined();
        else await expect(taking).rejects.toMatchObject(limited);
        if (readLatest) await expect(reader({ after: "latest" })).resolves.toBeDefined();
        else await expect(reader({ after: "latest" })).rejects.toMatchObject(limited);
      });

      it("says that its topic is gone", async () => {
        const orphan = await reader();
        await fixture.admin.deleteTopic(topic);
        await expect(orphan.next(1, soon())).rejects.toMatchObject({ kind: "TOPIC_UNKNOWN" });
      });
    });

    describe("a fence", () => {
      it("is one process's alone, until it lets go", async () => {
        const other = await fixture.open();
        const fence = await client.fence(topic, "node");
        for (const each of [client, other])
          await expect(each.fence(topic, "node")).rejects.toMatchObject({ kind: "PULSAR_FENCED" });
        await fence.release();
        await (await other.fence(topic, "node")).release();
        await client.fence(topic, "node");
      });

      it("of another name on the same topic is another", async () => {
        const other = await fixture.open();
        await client.fence(topic, "node");
        await other.fence(topic, "another");
        const again = client.fence(topic, "another");
        await expect(again).rejects.toMatchObject({ kind: "PULSAR_FENCED" });
      });

      it("is lost, and free, when its holder's connection is gone", async () => {
        const other = await fixture.open();
        const fence = await client.fence(topic, "node");
        fixture.cut();
        expect(await fence.lost).toBeInstanceOf(Error);
        await eventually(() => other.fence(topic, "node"));
        await expect(client.fence(topic, "node")).rejects.toMatchObject({ kind: "PULSAR_FENCED" });
      });

      it("goes to one of many who want it at once", async () => {
        const others = await Promise.all([1, 2, 3].map(() => fixture.open()));
        for (let round = 0; round < 5; round += 1) {
          const wishes = [client, ...others].map((each) => each.fence(topic, "node"));
          const outcomes = await Promise.allSettled(wishes);
          const taken = outcomes.filter((outcome) => outcome.status === "fulfilled");
          expect(taken).toHaveLength(1);
          await taken[0]?.value.release();
        }
      });
    });

    it("takes nothing new once it is stopped, and leaves nothing waiting", async () => {
      const producer = await client.producer(topic, limits);
      const fence = await client.fence(topic, "node");
      const waiting = (await reader()).next(1, soon()).catch((error: unknown) => error);
      const sends = texts("event", 100).map((text) => producer.send(messageOf(text)));
      const settled = Promise.allSettled(sends);
      await Promise.all([client.stop(soon()), client.stop(soon())]);
      const fates = new Set((await settled).map(({ status }) => status));
      if (client.kind !== "memory") expect([...fates]).toEqual(["fulfilled"]);
      await fence.lost;
      await waiting;
      await expect(client.producer(topic, limits)).rejects.toMatchObject({ kind: "STOPPING" });
      const other = await fixture.open();
      await other.fence(topic, "node");
    });

    it("loses nothing acknowledged when the broker dies with sends in flight", async (context) => {
      const { crash } = fixture;
      if (crash === undefined) return context.skip("this broker is shared");
      const across = await reader({ queueMax: 200 });
      const producer = await client.producer(topic, { ...limits, timeoutMs: 5_000 });
      const acknowledged: string[] = [];
      // The order of the calls, which a busy machine's timers need not keep.
      const called = new Map<string, number>();
      const sending = texts("event", 4_000).map(async (text, index) => {
        await delay(index / 4);
        called.set(text, called.size);
        await producer.send(messageOf(text));
        acknowledged.push(text);
      });
      const settled = Promise.allSettled(sending);
      const received = (await read(across, 300)).map(textOf);
      const back = crash();
      expect(MeshError.is(await producer.ended, "PULSAR_UNAVAILABLE")).toBe(true);
      await settled;
      expect(acknowledged.length).toBeLessThan(4_000);
      await back;
      const next = await eventually(() => client.producer(topic, limits));
      await next.send(messageOf("end"));
      while (received.at(-1) !== "end") {
        const more = await across.next(1_000, AbortSignal.timeout(60_000));
        expect(more.length).toBeGreaterThan(0);
        received.push(...more.map(textOf));
      }
      received.pop();
      const numbers = received.map((text) => called.get(text) ?? -1);
      expect(numbers).toEqual([...new Set(numbers)].sort((a, b) => a - b));
      expect(received).toEqual(expect.arrayContaining(acknowledged));
    }, 200_000);
  });
}
