import { createLogger, seededChance, SimulatedClock, type Chance } from "@fleetmesh/core";
import { Registry } from "prom-client";
import { describe, expect, it } from "vitest";
import { Dispatcher } from "../../cloud-runtime/src/delivery/dispatcher.ts";
import { booksOf } from "../../cloud-runtime/src/delivery/subscription-status.ts";
import { MemoryMetadata } from "../../cloud-runtime/src/metadata/memory-metadata.ts";
import type { Subscription } from "../../cloud-runtime/src/metadata/metadata.ts";
import { openMemoryStore, type MemoryStore } from "../../cloud-runtime/src/store/memory-store.ts";
import { MemoryTarget } from "../../cloud-runtime/src/target/memory-target.ts";
import type { Delivery, DeliveryOutcome } from "../../cloud-runtime/src/target/target.ts";
import { guardReads } from "./path/read-guard.ts";
import { whileTimePasses } from "./path/while-time-passes.ts";
import { sampleEvent, sampleSubscription } from "../../cloud-runtime/test/subscription-samples.ts";

const topic = "vehicle.telemetry";
const keyCount = 6;

interface World {
  readonly clock: SimulatedClock;
  readonly chance: Chance;
  readonly store: MemoryStore;
  readonly metadata: MemoryMetadata;
  /** What each subscription's target took, in order. */
  readonly taken: Map<string, string[]>;
  /** Taken in the life of the process that ended, by subscription; to bound what may repeat. */
  publishedCount: number;
  /** Chance that an attempt fails. */
  failureRate: number;
  /** What read again and again while no time passed. */
  readonly loops: string[];
}

function subscriptions(): Subscription[] {
  const base = sampleSubscription();
  const delivery = { ...base.delivery, maxAttempts: 1_000, backoff: { initialMs: 20, maxMs: 400 } };
  return [
    { ...base, id: "all", delivery },
    { ...base, id: "some", delivery, filters: [{ exact: { type: "odd" } }] },
    { ...base, id: "pattern", topic: "vehicle.>", delivery: { ...delivery, windowMax: 2 } },
  ];
}

function dispatcherOf(world: World): Dispatcher {
  const answer = async (delivery: Delivery): Promise<DeliveryOutcome> => {
    const waitMs = Math.floor(world.chance.float() * 40);
    await new Promise<void>((resolve) => world.clock.setTimer(waitMs, resolve));
    if (world.chance.float() < world.failureRate) return { kind: "failed", status: "500" };
    const list = world.taken.get(delivery.subscription) ?? [];
    world.taken.set(delivery.subscription, list);
    list.push(delivery.event.id);
    return { kind: "taken", status: "200" };
  };
  return new Dispatcher({
    store: world.store.events,
    deliveries: world.store.deliveries,
    metadata: world.metadata,
    createTarget: () => new MemoryTarget(answer),
    clock: world.clock,
    chance: world.chance,
    logger: createLogger({ part: "test", level: "silent" }),
    registry: new Registry(),
    bounds: { bytesMax: 8_000, inHandMax: 40 },
  });
}

async function publish(world: World, count: number): Promise<void> {
  const events = Array.from({ length: count }, () => {
    world.publishedCount += 1;
    const number = world.publishedCount;
    const key = Math.floor(world.chance.float() * keyCount);
    const type = number % 2 === 1 ? "odd" : "even";
    return sampleEvent({ id: `${key}-${number}`, subject: `k${key}`, type });
  });
  const append = world.store.events.appendDirect({ topic, receivedMs: 0, events });
  await Promise.all([append, world.clock.advance(5)]);
}

/** The simulated clock drives everything: a promise that needs it is awaited while time passes. */
async function during<Result>(world: World, promise: Promise<Result>): Promise<Result> {
  const result = await whileTimePasses(world.clock, "A part of the region", promise);
  failOnLoop(world);
  return result;
}

/** A loop in which no time passes ends in the guard of the store; here it fails the test in words. */
function failOnLoop({ loops }: World): void {
  const [first] = loops;
  if (first !== undefined) throw new Error(first);
}

/** Events in the order in which the target first took them. */
function firsts(list: readonly string[]): string[] {
  return [...new Set(list)];
}

function assertOrderPerKey(list: readonly string[]): void {
  for (let key = 0; key < keyCount; key += 1) {
    const numbers = list.filter((id) => id.startsWith(`${key}-`)).map((id) => Number(id.slice(2)));
    expect(numbers).toEqual([...numbers].sort((left, right) => left - right));
  }
}

async function run(seed: number): Promise<void> {
  const clock = new SimulatedClock();
  const world: World = {
    clock,
    chance: seededChance(seed),
    store: openMemoryStore({ region: "cn-east", clock, commitMs: 3 }),
    metadata: new MemoryMetadata({ autoCreateTopics: true }),
    taken: new Map(),
    publishedCount: 0,
    failureRate: 0.2,
    loops: [],
  };
  guardReads(world.store, clock, (what) => world.loops.push(what));
  await world.store.events.start();
  await world.store.deliveries.start();
  for (const subscription of subscriptions()) await world.metadata.putSubscription(subscription);
  let crashes = 0;
  let dispatcher = dispatcherOf(world);
  await during(world, dispatcher.start());
  for (let step = 0; step < 40; step += 1) {
    await publish(world, 1 + Math.floor(world.chance.float() * 12));
    await clock.advance(world.chance.float() * 120);
    failOnLoop(world);
    if (world.chance.float() >= 0.15) continue;
    crashes += 1;
    world.store.crash(world.chance.float() < 0.5 ? "nothing" : "unanswered");
    // The dead process's objects let go without a word to the store, which refuses them anyhow.
    await during(
      world,
      dispatcher.stop(AbortSignal.abort()).catch(() => undefined),
    );
    await during(world, world.store.events.start());
    await during(world, world.store.deliveries.start());
    dispatcher = dispatcherOf(world);
    await during(world, dispatcher.start());
  }
  world.failureRate = 0;
  for (let step = 0; step < 400; step += 1) await clock.advance(100);
  failOnLoop(world);
  await assertEnd(world, { dispatcher, crashes });
  await during(world, dispatcher.stop(AbortSignal.abort()));
}

async function assertEnd(
  world: World,
  { dispatcher, crashes }: { dispatcher: Dispatcher; crashes: number },
): Promise<void> {
  for (const subscription of world.metadata.subscriptions()) {
    const list = world.taken.get(subscription.id) ?? [];
    const isOdd = (id: string): boolean => Number(id.slice(2)) % 2 === 1;
    const stored = await world.store.events.read(topic, "earliest", {
      countMax: 10_000,
      bytesMax: 2 ** 30,
    });
    const ids = stored.events.map(({ entry }) => entry.event.id);
    const wanted = subscription.id === "some" ? ids.filter(isOdd) : ids;
    expect(new Set(list)).toEqual(new Set(wanted));
    assertOrderPerKey(firsts(list));
    // 100 ms of flush delay at these speeds is a few windows: what repeats is bounded by the number of crashes.
    expect(list.length - new Set(list).size).toBeLessThanOrEqual(crashes * 40);
    const books = await booksOf(dispatcher, world.store.events, subscription);
    expect(books).toMatchObject({ difference: 0, pending: 0, matchable: ids.length });
    expect(books.delivered).toBe(wanted.length);
    expect(books.filtered).toBe(ids.length - wanted.length);
  }
}

describe("delivery under crashes and failing targets", () => {
  const seeds = Array.from({ length: 30 }, (_, index) => index + 1);
  it.each(seeds)("loses nothing, keeps order per key and balances the books (seed %i)", run);
});
