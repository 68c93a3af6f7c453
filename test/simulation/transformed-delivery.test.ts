import {
  createLogger,
  MeshError,
  seededChance,
  SimulatedClock,
  sleep,
  type MeshEvent,
} from "@fleetmesh/core";
import { Registry } from "prom-client";
import { describe, expect, it } from "vitest";
import { Dispatcher } from "../../cloud-runtime/src/delivery/dispatcher.ts";
import { booksOf } from "../../cloud-runtime/src/delivery/subscription-status.ts";
import { MemoryMetadata } from "../../cloud-runtime/src/metadata/memory-metadata.ts";
import { openMemoryStore } from "../../cloud-runtime/src/store/memory-store.ts";
import { MemoryTarget } from "../../cloud-runtime/src/target/memory-target.ts";
import type { Delivery, DeliveryOutcome } from "../../cloud-runtime/src/target/target.ts";
import { transformFailed } from "../../cloud-runtime/src/transform/transform-failed.ts";
import type { TransformSource } from "../../cloud-runtime/src/transform/transforms.ts";
import { sampleEvent, sampleSubscription } from "../../cloud-runtime/test/subscription-samples.ts";
import { whileTimePasses } from "./path/while-time-passes.ts";

const topic = "vehicle.telemetry";
const keyCount = 4;

/** What the simulated rule makes of an event: none, one, three, or a failure, by its number. */
function outputsOf(event: MeshEvent): readonly MeshEvent[] {
  const kind = Number(event.id.split("-")[1]) % 5;
  if (kind === 0) return [];
  if (kind === 1) throw transformFailed("error", "no");
  if (kind === 2) return [1, 2, 3].map((each) => ({ ...event, id: `${event.id}/${each}` }));
  return [{ ...event, type: "changed" }];
}

function expectedIds(event: MeshEvent): readonly string[] {
  try {
    return outputsOf(event).map(({ id }) => id);
  } catch {
    return [];
  }
}

class World {
  readonly clock = new SimulatedClock();
  readonly store = openMemoryStore({ region: "cn-east", clock: this.clock, commitMs: 3 });
  readonly metadata = new MemoryMetadata({ autoCreateTopics: true });
  readonly chance;
  readonly taken: string[] = [];
  readonly published: MeshEvent[] = [];
  failureRate = 0.2;

  constructor(seed: number) {
    this.chance = seededChance(seed);
  }

  dispatcher(): Dispatcher {
    return new Dispatcher({
      store: this.store.events,
      deliveries: this.store.deliveries,
      metadata: this.metadata,
      createTarget: () => new MemoryTarget((delivery) => this.#answer(delivery)),
      clock: this.clock,
      chance: this.chance,
      logger: createLogger({ part: "test", level: "silent" }),
      registry: new Registry(),
      bounds: { bytesMax: 8_000, inHandMax: 40 },
      transforms: this.#transforms(),
    });
  }

  async publish(count: number): Promise<void> {
    const events = Array.from({ length: count }, (_, at) => {
      const key = Math.floor(this.chance.float() * keyCount);
      return sampleEvent({ id: `${key}-${this.published.length + at}`, subject: `k${key}` });
    });
    this.published.push(...events);
    const append = this.store.events.appendDirect({ topic, receivedMs: 0, events });
    await Promise.all([append, this.clock.advance(5)]);
  }

  during<Result>(promise: Promise<Result>): Promise<Result> {
    return whileTimePasses(this.clock, "A part of the region", promise);
  }

  async #answer({ event }: Delivery): Promise<DeliveryOutcome> {
    await sleep(this.clock, Math.floor(this.chance.float() * 40));
    if (this.chance.float() < this.failureRate) return { kind: "failed", status: "500" };
    this.taken.push(event.id);
    return { kind: "taken", status: "200" };
  }

  /** Rules as they are beside the runtime: slow, and now and then away for no fault of the event. */
  #transforms(): TransformSource {
    const apply = async (event: MeshEvent): Promise<readonly MeshEvent[]> => {
      await sleep(this.clock, Math.floor(this.chance.float() * 30));
      if (this.chance.float() < this.failureRate / 4) throw new MeshError("INTERNAL", "away");
      return outputsOf(event);
    };
    return {
      open: () => ({ apply: ({ event }) => apply(event), stop: () => undefined }),
      check: () => Promise.resolve(),
      attempt: (_, { event }) => apply(event),
      stop: () => Promise.resolve(),
    };
  }
}

async function run(seed: number): Promise<void> {
  const world = new World(seed);
  const { clock, store, metadata, chance } = world;
  await store.events.start();
  await store.deliveries.start();
  const base = sampleSubscription();
  const delivery = { ...base.delivery, maxAttempts: 1_000, backoff: { initialMs: 20, maxMs: 400 } };
  await metadata.putSubscription({ ...base, delivery, transform: { template: { type: "x" } } });
  let dispatcher = world.dispatcher();
  await world.during(dispatcher.start());
  let crashes = 0;
  for (let step = 0; step < 30; step += 1) {
    await world.publish(1 + Math.floor(chance.float() * 10));
    await clock.advance(chance.float() * 150);
    if (chance.float() >= 0.15) continue;
    crashes += 1;
    store.crash(chance.float() < 0.5 ? "nothing" : "unanswered");
    await world.during(dispatcher.stop(AbortSignal.abort()).catch(() => undefined));
    await world.during(store.events.start());
    await world.during(store.deliveries.start());
    dispatcher = world.dispatcher();
    await world.during(dispatcher.start());
  }
  world.failureRate = 0;
  for (let step = 0; step < 400; step += 1) await clock.advance(100);
  await assertEnd(world, dispatcher);
  expect(world.taken.length - new Set(world.taken).size).toBeLessThanOrEqual(crashes * 60);
  await world.during(dispatcher.stop(AbortSignal.abort()));
}

async function assertEnd(world: World, dispatcher: Dispatcher): Promise<void> {
  const { published, taken, store, metadata } = world;
  const [subscription] = metadata.subscriptions();
  if (!subscription) throw new Error("The subscription is gone");
  const firsts = [...new Set(taken)];
  for (let key = 0; key < keyCount; key += 1) {
    const ofKey = (id: string): boolean => id.startsWith(`${key}-`);
    const wanted = published.filter(({ id }) => ofKey(id)).flatMap(expectedIds);
    expect(firsts.filter(ofKey)).toEqual(wanted);
  }
  const kindOf = ({ id }: MeshEvent): number => Number(id.split("-")[1]) % 5;
  const count = (kind: number): number => published.filter((one) => kindOf(one) === kind).length;
  const books = await booksOf(dispatcher, store.events, subscription);
  expect(books).toMatchObject({
    ...{ difference: 0, pending: 0, matchable: published.length },
    ...{ filtered: count(0), deadLettered: count(1) },
  });
  const letters = await store.deliveries.deadLetters({ limit: 1_000 });
  expect(letters).toHaveLength(count(1));
}

describe("delivery of what transforms make, under crashes and failing targets", () => {
  const seeds = Array.from({ length: 25 }, (_, index) => index + 1);
  it.each(seeds)("keeps all parts in order under the same ids, and the books (seed %i)", run);
});
