import { createLogger, SimulatedClock, type Chance } from "@fleetmesh/core";
import { Registry } from "prom-client";
import { Dispatcher } from "../../../cloud-runtime/src/delivery/dispatcher.ts";
import { MemoryMetadata } from "../../../cloud-runtime/src/metadata/memory-metadata.ts";
import { continuedPlaces } from "../../../cloud-runtime/src/subscription/continued-places.ts";
import { MemoryTarget } from "../../../cloud-runtime/src/target/memory-target.ts";
import type { DeliveryOutcome } from "../../../cloud-runtime/src/target/target.ts";
import { sampleSubscription } from "../../../cloud-runtime/test/subscription-samples.ts";
import { sampleEvent } from "../../contract/event-samples.ts";
import { PulsarWorld } from "./pulsar-world.ts";
import { SimulatedReplication } from "./simulated-replication.ts";

const topic = "vehicle.speed";
const clusters = ["cn-east", "cn-west"] as const;
const stepCount = 40;
const keys = 6;

export interface GroupOptions {
  /** Of messages that the replication drops in silence. */
  readonly dropProbability: number;
  /** Of attempts that the target refuses, and how long others take at most. */
  readonly failProbability: number;
  readonly answerMsMax: number;
}

/** One region with its own delivery. What all groups' targets took comes into one list. */
class Side {
  readonly world: PulsarWorld;
  readonly metadata = new MemoryMetadata({ autoCreateTopics: true });
  dispatcher: Dispatcher;
  readonly published: string[] = [];
  readonly #name: string;
  readonly #take: () => Promise<DeliveryOutcome>;

  constructor(name: string, world: PulsarWorld, take: () => Promise<DeliveryOutcome>) {
    this.#name = name;
    this.#take = take;
    this.world = world;
    this.dispatcher = this.#newDispatcher();
  }

  /** The process that delivers ends, and another begins. */
  async restart(): Promise<void> {
    await this.dispatcher.stop(AbortSignal.abort());
    this.dispatcher = this.#newDispatcher();
    await this.dispatcher.start();
  }

  #newDispatcher(): Dispatcher {
    const { store, deliveries, clock, chance } = this.world;
    return new Dispatcher({
      ...{ store, deliveries, clock, chance, metadata: this.metadata, registry: new Registry() },
      logger: createLogger({ part: "test", level: "silent" }),
      createTarget: () =>
        new MemoryTarget(async ({ event }) => {
          const outcome = await this.#take();
          if (outcome.kind === "taken") this.onTaken(event.id);
          return outcome;
        }),
    });
  }

  onTaken: (id: string) => void = () => undefined;

  publish(count: number): Promise<unknown> {
    const first = this.published.length;
    const events = Array.from({ length: count }, (_, at) => {
      const id = `${this.#name}-${first + at + 1}`;
      return sampleEvent(id, { source: `/${this.#name}`, subject: `${(first + at) % keys}` });
    });
    this.published.push(...events.map(({ id }) => id));
    return this.world.store.appendDirect({ topic, receivedMs: 1, events });
  }

  async subscribe(isContinued: boolean): Promise<void> {
    const { store } = this.world;
    const createdMs = this.world.clock.wallMs();
    const over = { id: "g", topic, replicated: true, createdMs };
    const continues = isContinued ? await continuedPlaces(store, over) : undefined;
    const delivery = { ...sampleSubscription().delivery, maxAttempts: 100 };
    const fresh = sampleSubscription({ ...over, delivery, ...(continues && { continues }) });
    const { counts } = await this.dispatcher.prepare(fresh, "latest");
    await this.metadata.putSubscription({ ...fresh, starts: counts });
    await this.dispatcher.settled();
  }

  async unsubscribe(): Promise<void> {
    await this.metadata.removeSubscription("g");
    await this.dispatcher.settled();
  }
}

/** Two regions that both publish, and one consumer group that moves from one to the other and back. */
export class GroupSchedule {
  /** Ids in the order in which targets took them. */
  readonly taken: string[] = [];
  moves = 0;
  readonly #clock = new SimulatedClock();
  readonly #chance: Chance;
  readonly #sides: readonly [Side, Side];
  readonly #ways: readonly SimulatedReplication[];
  readonly #options: GroupOptions;
  #at = 0;

  constructor(seed: number, options: GroupOptions) {
    this.#options = options;
    const sideOf = (at: 0 | 1): Side => {
      const world = new PulsarWorld(seed * 2 + at, {
        ...{ region: clusters[at], clock: this.#clock, clusters },
      });
      const side = new Side(clusters[at], world, () => this.#answer());
      side.onTaken = (id) => this.taken.push(id);
      return side;
    };
    this.#sides = [sideOf(0), sideOf(1)];
    const [east, west] = this.#sides.map(({ world }, at) => {
      return { cluster: clusters[at] as string, broker: world.broker };
    });
    this.#chance = this.#sides[0].world.chance;
    if (!east || !west) throw new Error("two sides");
    this.#ways = [
      { from: east, to: west },
      { from: west, to: east },
    ].map((ends) => new SimulatedReplication({ ...ends, chance: this.#chance }));
  }

  get published(): string[] {
    return this.#sides.flatMap(({ published }) => published);
  }

  async publish(cluster: (typeof clusters)[number], count: number): Promise<void> {
    await this.#sides[clusters.indexOf(cluster)]?.publish(count);
  }

  async begin(): Promise<void> {
    for (const { world, dispatcher } of this.#sides) {
      await world.during("a start", world.start());
      await world.during("a start", dispatcher.start());
    }
    await this.#during(this.#sides[0].subscribe(false));
    for (const side of this.#sides) await this.#during(side.publish(1));
    await this.pass(5_000);
    // Before, a region that never heard of the group could not take it over.
    for (const way of this.#ways) way.dropProbability = this.#options.dropProbability;
  }

  async run(): Promise<void> {
    for (let step = 0; step < stepCount; step += 1) {
      for (const side of this.#sides)
        if (this.#is(0.6)) void side.publish(1 + this.#below(5)).catch(() => undefined);
      for (const way of this.#ways) if (this.#is(0.1)) way.isStopped = !way.isStopped;
      await this.pass(this.#below(400));
      for (const side of this.#sides) if (this.#is(0.05)) await this.#during(side.restart());
      if (this.#is(0.12)) await this.move(this.#is(0.5) ? "in order" : "at once");
    }
    for (const way of this.#ways) [way.isStopped, way.dropProbability] = [false, 0];
    await this.pass(300_000);
  }

  /** `at once`: the other region goes on before it has heard the last of this one. */
  async move(how: "in order" | "at once"): Promise<void> {
    const from = this.#sides[this.#at] as Side;
    const to = this.#sides[1 - this.#at] as Side;
    if (how === "in order") {
      await this.#during(from.unsubscribe());
      for (const way of this.#ways) way.isStopped = false;
      await this.pass(1_500);
    }
    await this.#during(to.subscribe(true));
    if (how === "at once") await this.#during(from.unsubscribe());
    this.#at = 1 - this.#at;
    this.moves += 1;
  }

  async end(): Promise<void> {
    for (const { world, dispatcher } of this.#sides) {
      await world.during("a stop", dispatcher.stop(new AbortController().signal));
      await world.end();
    }
  }

  async pass(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= 50) {
      for (const way of this.#ways) way.pump();
      await this.#clock.advance(Math.min(50, left));
    }
  }

  async #during(promise: Promise<unknown>): Promise<void> {
    const progress = { isOver: false };
    const watched = promise.finally(() => (progress.isOver = true));
    watched.catch(() => undefined);
    for (let waited = 0; waited < 4_000; waited += 1) {
      await this.pass(50);
      if (!progress.isOver) continue;
      await watched;
      return;
    }
    throw new Error("hangs: not over after 200 s of simulated time");
  }

  async #answer(): Promise<DeliveryOutcome> {
    const { failProbability, answerMsMax } = this.#options;
    await new Promise<void>((resolve) =>
      this.#clock.setTimer(this.#below(answerMsMax + 1), resolve),
    );
    return this.#is(failProbability)
      ? { kind: "failed", status: "503" }
      : { kind: "taken", status: "200" };
  }

  #is(probability: number): boolean {
    return this.#chance.float() < probability;
  }

  #below(bound: number): number {
    return Math.floor(this.#chance.float() * bound);
  }
}
