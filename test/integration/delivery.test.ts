import { createLogger, systemChance, systemClock } from "@fleetmesh/core";
import { Registry } from "prom-client";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Dispatcher } from "../../cloud-runtime/src/delivery/dispatcher.ts";
import { explainEvent } from "../../cloud-runtime/src/delivery/explain-event.ts";
import { Redrive } from "../../cloud-runtime/src/delivery/redrive.ts";
import { readLimit } from "../../cloud-runtime/src/delivery/topic-reader.ts";
import { booksOf, statusOf } from "../../cloud-runtime/src/delivery/subscription-status.ts";
import { MemoryMetadata } from "../../cloud-runtime/src/metadata/memory-metadata.ts";
import type { DeliverySpec, Subscription } from "../../cloud-runtime/src/metadata/metadata.ts";
import { openMemoryStore, type MemoryStore } from "../../cloud-runtime/src/store/memory-store.ts";
import { createTargetFactory } from "../../cloud-runtime/src/target/index.ts";
import { eventIdentity } from "../../cloud-runtime/src/target/webhook-id.ts";
import { sampleEvent, sampleSubscription } from "../../cloud-runtime/test/subscription-samples.ts";
import { DeliverySink, until } from "./delivery-sink.ts";

const topic = "vehicle.telemetry";
const logger = createLogger({ part: "test", level: "silent" });
let store: MemoryStore;
let metadata: MemoryMetadata;
let dispatcher: Dispatcher;
let sinks: DeliverySink[];
let count: number;

beforeEach(async () => {
  [sinks, count] = [[], 0];
  metadata = new MemoryMetadata({ autoCreateTopics: true });
  store = openMemoryStore({ region: "cn-east", clock: systemClock });
  await store.events.start();
  await store.deliveries.start();
  dispatcher = newDispatcher();
  await dispatcher.start();
});

afterEach(async () => {
  await dispatcher.stop(AbortSignal.abort());
  for (const sink of sinks) await sink.stop();
  await store.events.stop();
  await store.deliveries.stop();
});

function newDispatcher(): Dispatcher {
  const [clock, chance] = [systemClock, systemChance];
  return new Dispatcher({
    store: store.events,
    deliveries: store.deliveries,
    metadata,
    createTarget: createTargetFactory({ clock, chance, allowPrivateSinks: true }),
    clock,
    chance,
    logger,
    registry: new Registry(),
  });
}

async function sink(answer?: DeliverySink["answer"]): Promise<DeliverySink> {
  const made = await new DeliverySink(answer).start();
  sinks.push(made);
  return made;
}

interface Wanted extends Partial<Omit<Subscription, "delivery">> {
  readonly delivery?: Partial<DeliverySpec>;
}

async function subscribe(to: DeliverySink, over: Wanted = {}): Promise<Subscription> {
  const base = sampleSubscription({ sink: to.url });
  const made = { ...base, ...over, delivery: { ...base.delivery, ...over.delivery } };
  const { counts } = await dispatcher.prepare(made, "latest");
  await metadata.putSubscription({ ...made, starts: counts });
  await dispatcher.settled();
  return made;
}

/** Publishes one event per key given, numbered on. */
async function publish(...keys: string[]): Promise<string[]> {
  const events = keys.map((subject) => sampleEvent({ id: `${subject}${++count}`, subject }));
  await store.events.appendDirect({ topic, receivedMs: Date.now(), events });
  return events.map(({ id }) => id);
}

const pendingOf = async (subscription: Subscription): Promise<number> =>
  (await booksOf(dispatcher, store.events, subscription)).pending;

describe("delivery to HTTP sinks", () => {
  it("pushes a structured CloudEvent with a stable id, a time and a trace", async () => {
    const to = await sink();
    const subscription = await subscribe(to);
    await publish("a");
    await until(() => to.received.length === 1);
    const [got] = to.received;
    expect(JSON.parse(got?.body ?? "")).toMatchObject({ id: "a1", specversion: "1.0", data: {} });
    expect(got?.headers["content-type"]).toMatch(/^application\/cloudevents\+json/);
    const { webhookId } = eventIdentity(sampleEvent({ id: "a1" }), subscription.id);
    expect(got?.headers["webhook-id"]).toBe(webhookId);
    expect(got?.headers["webhook-timestamp"]).toMatch(/^\d{10}$/);
    expect(got?.headers["traceparent"]).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/);
  });

  it("keeps the order of a failing key over its retries while other keys flow", async () => {
    let failures = 0;
    const to = await sink(({ id }, response) => {
      const fails = id === "a1" && failures++ < 3;
      response.writeHead(fails ? 500 : 204).end();
    });
    const subscription = await subscribe(to, {
      delivery: { backoff: { initialMs: 60, maxMs: 60 } },
    });
    await publish("a", "b", "a", "b", "a", "c");
    await until(async () => (await pendingOf(subscription)) === 0);
    expect(to.ids.filter((id) => id.startsWith("a"))).toEqual(["a1", "a1", "a1", "a1", "a3", "a5"]);
    const lastFailure = to.ids.lastIndexOf("a1");
    for (const id of ["b2", "b4", "c6"]) expect(to.ids.indexOf(id)).toBeLessThan(lastFailure);
  });

  it("goes on after a hard stop with at most the unflushed repeated, under the same webhook-id", async () => {
    const to = await sink();
    const subscription = await subscribe(to);
    await publish(...Array.from({ length: 200 }, (_, at) => `k${at % 7}-`));
    await until(() => to.received.length > 50);
    store.crash();
    await dispatcher.stop(AbortSignal.abort()).catch(() => undefined);
    await store.events.start();
    await store.deliveries.start();
    dispatcher = newDispatcher();
    await dispatcher.start();
    await until(async () => (await pendingOf(subscription)) === 0);
    expect(new Set(to.ids).size).toBe(200);
    const idsOf = new Map<string, Set<unknown>>();
    for (const { id, headers } of to.received)
      idsOf.set(id, (idsOf.get(id) ?? new Set()).add(headers["webhook-id"]));
    for (const webhookIds of idsOf.values()) expect(webhookIds.size).toBe(1);
  });

  it("survives a restart in the middle of a retry and remembers the attempts", async () => {
    const to = await sink((_, response) => response.writeHead(500).end());
    await subscribe(to, { delivery: { backoff: { initialMs: 50, maxMs: 50 }, maxAttempts: 4 } });
    await publish("a");
    await until(() => to.received.length >= 2);
    await dispatcher.stop(AbortSignal.timeout(1_000));
    const before = to.received.length;
    dispatcher = newDispatcher();
    await dispatcher.start();
    await until(async () => (await store.deliveries.deadLetters({ limit: 1 })).length === 1);
    const [letter] = await store.deliveries.deadLetters({ limit: 1 });
    expect(before).toBeLessThan(4);
    expect(letter?.attempts).toHaveLength(4);
    expect(to.received).toHaveLength(4);
  });

  it("does not let a hanging or resetting target slow down a healthy one", async () => {
    const hanging = await sink(() => undefined);
    const resetting = await sink((_, response) => response.socket?.destroy());
    const healthy = await sink();
    await subscribe(hanging, { id: "hanging", delivery: { timeoutMs: 60_000 } });
    await subscribe(resetting, { id: "resetting", delivery: { maxAttempts: 100 } });
    const good = await subscribe(healthy, { id: "healthy" });
    await publish(...Array.from({ length: 500 }, (_, at) => `k${at % 50}-`));
    await until(async () => (await pendingOf(good)) === 0);
    expect(healthy.received).toHaveLength(500);
    expect(hanging.received.length).toBeLessThanOrEqual(8);
  });

  it("tries again after a timeout", async () => {
    let calls = 0;
    const to = await sink((_, response) => {
      if (calls++ > 0) response.writeHead(200).end();
    });
    const subscription = await subscribe(to, { delivery: { timeoutMs: 200 } });
    await publish("a");
    await until(async () => (await pendingOf(subscription)) === 0);
    expect(to.ids).toEqual(["a1", "a1"]);
    expect(dispatcher.runner("s1")?.lastError).toBe("timeout");
  });

  it("is silent towards the whole target for as long as Retry-After says", async () => {
    const seenMs: number[] = [];
    const to = await sink((_, response) => {
      seenMs.push(performance.now());
      if (seenMs.length === 1) response.writeHead(429, { "retry-after": "1" }).end();
      else response.writeHead(200).end();
    });
    const first = await subscribe(to, { delivery: { windowMax: 1 } });
    await publish("a", "b");
    // Not when the request came, but when its answer was heard.
    await until(() => dispatcher.runner(first.id)?.lastError?.startsWith("429") === true);
    const second = await subscribe(to, { id: "s2", delivery: { windowMax: 1 } });
    await publish("c");
    await until(async () => (await pendingOf(first)) + (await pendingOf(second)) === 0);
    expect((seenMs[1] ?? 0) - (seenMs[0] ?? 0)).toBeGreaterThanOrEqual(990);
  });

  it("takes a redirection for a failure and never follows it", async () => {
    const other = await sink();
    const to = await sink((_, response) => response.writeHead(302, { location: other.url }).end());
    const subscription = await subscribe(to, { delivery: { maxAttempts: 2 } });
    await publish("a");
    await until(async () => (await pendingOf(subscription)) === 0);
    expect(other.received).toHaveLength(0);
    expect(to.received).toHaveLength(2);
  });

  it("puts what the target refuses for good into the dead letters at once, with its reason", async () => {
    const to = await sink(({ id }, response) =>
      response.writeHead(id === "a1" ? 422 : 200).end("no such vehicle"),
    );
    const subscription = await subscribe(to);
    await publish("a", "a");
    await until(async () => (await pendingOf(subscription)) === 0);
    await dispatcher.flush();
    const [letter] = await store.deliveries.deadLetters({ limit: 10 });
    expect(letter).toMatchObject({ subscription: "s1", reason: "the target refused it: 422" });
    expect(letter?.attempts[0]).toMatchObject({ outcome: "422", detail: "no such vehicle" });
    expect(to.ids).toEqual(["a1", "a2"]);
    const books = await booksOf(dispatcher, store.events, subscription);
    expect(books).toMatchObject({ delivered: 1, deadLettered: 1, matchable: 2, difference: 0 });
  });

  it("disables a subscription whose target answers 410 and keeps the event until it is resumed", async () => {
    const to = await sink((_, response) => response.writeHead(410).end());
    const subscription = await subscribe(to);
    await publish("a");
    await until(() => metadata.subscription("s1")?.state === "disabled");
    expect(metadata.subscription("s1")?.stateReason).toMatch(/^retired/);
    expect(await pendingOf(subscription)).toBe(1);
    to.answer = (_, response) => response.writeHead(200).end();
    const kept = metadata.subscription("s1") ?? subscription;
    await metadata.putSubscription({ ...kept, state: "active", revision: kept.revision + 1 });
    await until(async () => (await pendingOf(subscription)) === 0);
    expect(to.ids).toEqual(["a1", "a1"]);
  });

  it("delivers nothing while paused and everything in order after", async () => {
    const to = await sink();
    const subscription = await subscribe(to, { state: "paused" });
    const ids = await publish("a", "a", "a");
    await dispatcher.flush();
    const status = await statusOf(dispatcher, store.events, { ...subscription, state: "paused" });
    expect(status).toMatchObject({ state: "paused", lag: 3, delivered: 0 });
    await metadata.putSubscription({ ...subscription, state: "active", revision: 2 });
    await until(() => to.received.length === 3);
    expect(to.ids).toEqual(ids);
  });

  it("redrives dead letters, flagged, and takes them out when the target has them", async () => {
    const to = await sink((_, response) => response.writeHead(400).end());
    await subscribe(to);
    await publish("a", "b");
    await until(async () => (await store.deliveries.deadLetters({ limit: 10 })).length === 2);
    to.answer = (_, response) => response.writeHead(200).end();
    const redrive = new Redrive({
      dispatcher,
      deliveries: store.deliveries,
      clock: systemClock,
      logger,
    });
    expect(await redrive.request({ isPermitted: () => true })).toBe(2);
    await redrive.idle;
    expect(await store.deliveries.deadLetters({ limit: 10 })).toHaveLength(0);
    const again = to.received.slice(2);
    expect(again.map(({ headers }) => headers["mesh-redriven"])).toEqual(["true", "true"]);
    expect(new Set(again.map(({ headers }) => headers["webhook-id"]))).toEqual(
      new Set(to.received.slice(0, 2).map(({ headers }) => headers["webhook-id"])),
    );
  });

  it("waits while the store cannot commit and goes on by itself", async () => {
    const to = await sink();
    const subscription = await subscribe(to);
    await publish(...Array.from({ length: 20 }, () => "a"));
    store.setFault("disk full");
    await until(() => dispatcher.storeFailure !== undefined);
    const seen = to.received.length;
    store.setFault(undefined);
    await publish("b");
    await until(async () => (await pendingOf(subscription)) === 0);
    expect(seen).toBeLessThanOrEqual(20);
    expect(new Set(to.ids).size).toBe(21);
  });

  it("reads no further ahead of a slow target than keeps it busy, and then brings the rest", async () => {
    const held: (() => void)[] = [];
    const to = await sink((_, response) => held.push(() => response.writeHead(204).end()));
    const windowMax = 4;
    const subscription = await subscribe(to, { state: "paused", delivery: { windowMax } });
    const sent: string[] = [];
    const keys = Array.from({ length: 250 }, (_, at) => `key${at}-`);
    for (let round = 0; round < 8; round += 1) sent.push(...(await publish(...keys)));
    await metadata.putSubscription({ ...subscription, state: "active", revision: 2 });
    await until(() => held.length === windowMax);
    const feed = dispatcher.runner(subscription.id)?.feeds.get(topic);
    await until(() => feed?.state === "full" || feed?.state === "joined");
    expect(feed?.inHandCount).toBeLessThanOrEqual(readLimit.countMax);
    to.answer = (_, response) => response.writeHead(204).end();
    for (const answer of held) answer();
    await until(async () => (await pendingOf(subscription)) === 0);
    expect([...to.ids].sort()).toEqual([...sent].sort());
  });

  it("explains what became of an event for each subscription", async () => {
    const to = await sink(({ headers }, response) =>
      response.writeHead(headers["x-refuse"] === undefined ? 200 : 400).end("not today"),
    );
    await subscribe(to, { id: "taken" });
    await subscribe(to, { id: "filtered", filters: [{ exact: { type: "other" } }] });
    await subscribe(to, { id: "paused", state: "paused" });
    await subscribe(to, { id: "refused", protocolsettings: { headers: { "x-refuse": "1" } } });
    await publish("a");
    await until(() => to.received.length === 2);
    await until(async () => {
      await dispatcher.flush();
      return (await store.deliveries.records(topic, "1")).length === 2;
    });
    const [stored] = await store.events.find("a1");
    if (!stored) throw new Error("the event is stored");
    const decisions = await explainEvent({ metadata, deliveries: store.deliveries }, stored);
    expect(decisions).toMatchObject([
      { subscription: "taken", outcome: "delivered", attempts: 1 },
      { subscription: "filtered", outcome: "filtered", reason: '{"exact":{"type":"other"}}' },
      { subscription: "paused", outcome: "paused" },
      { subscription: "refused", outcome: "dead-lettered", reason: "the target refused it: 400" },
    ]);
  });
});
