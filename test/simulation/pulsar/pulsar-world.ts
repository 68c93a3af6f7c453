import { createLogger, seededChance, SimulatedClock, type Chance } from "@fleetmesh/core";
import type { DeliveryStore, EventStore } from "@fleetmesh/cloud-runtime";
import { MemoryBroker, MemoryPulsarAdmin, MemoryPulsarClient } from "@fleetmesh/pulsar";
import {
  openPulsarStore,
  type PulsarStore,
} from "../../../cloud-runtime/src/store/pulsar-store.ts";

export const region = "cn-east";
export const topics = ["vehicle.speed", "vehicle.door", "plant.press"] as const;

export interface WorldOptions {
  readonly region?: string;
  /** Shared with another region's world. */
  readonly clock?: SimulatedClock;
  /** Where all topics go. */
  readonly clusters?: readonly string[];
}

/** Of a broker whose topics all go to the same clusters. */
class ReplicatingAdmin extends MemoryPulsarAdmin {
  readonly #clusters: readonly string[];

  constructor(broker: MemoryBroker, clusters: readonly string[]) {
    super(broker);
    this.#clusters = clusters;
  }

  override async replicatedTo(topic: string): Promise<readonly string[]> {
    await super.replicatedTo(topic);
    return this.#clusters;
  }
}

/** The broker that fails, and the node whose store is on it: each life of the node has a client of its own. */
export class PulsarWorld {
  readonly clock: SimulatedClock;
  readonly chance: Chance;
  readonly broker: MemoryBroker;
  readonly #region: string;
  readonly #clusters: readonly string[];
  #client: MemoryPulsarClient;
  #store: PulsarStore;
  /** Stores of lives that were killed: their objects go on without a process. */
  readonly #dead: Promise<unknown>[] = [];

  constructor(seed: number, of: WorldOptions = {}) {
    const { clock = new SimulatedClock() } = of;
    this.clock = clock;
    this.#region = of.region ?? region;
    this.#clusters = of.clusters ?? [];
    this.chance = seededChance(seed);
    this.broker = new MemoryBroker({ clock, chance: seededChance(seed + 1), latencyMsMax: 15 });
    this.#client = new MemoryPulsarClient(this.broker);
    this.#store = this.#open();
  }

  get store(): EventStore {
    return this.#store.events;
  }

  get deliveries(): DeliveryStore {
    return this.#store.deliveries;
  }

  is(probability: number): boolean {
    return this.chance.float() < probability;
  }

  below(bound: number): number {
    return Math.floor(this.chance.float() * bound);
  }

  start(): Promise<void> {
    return this.#store.part.start();
  }

  /** Awaits what needs simulated time. Throws rather than waits for ever. */
  async during<Result>(what: string, promise: Promise<Result>): Promise<Result> {
    const progress = { isDone: false };
    const watched = promise.finally(() => (progress.isDone = true));
    watched.catch(() => undefined);
    for (let waitedMs = 0; waitedMs < 200_000; waitedMs += 25) {
      await this.clock.advance(25);
      if (progress.isDone) return watched;
    }
    throw new Error(`${what} hangs: not over after 200 s of simulated time`);
  }

  /** The process dies: what was on its way is stored, late or lost. Another is started. */
  async crash(): Promise<void> {
    this.#client.kill();
    this.#dead.push(this.#store.part.stop(AbortSignal.abort()).catch(() => undefined));
    await this.#restart();
  }

  /** Stops in order and is started again. */
  async reopen(): Promise<void> {
    await this.during("a stop", this.#store.part.stop(new AbortController().signal));
    await this.#restart();
  }

  async end(): Promise<void> {
    await this.during("the last stop", this.#store.part.stop(new AbortController().signal));
    await this.during("the stop of a dead life", Promise.all(this.#dead));
  }

  async #restart(): Promise<void> {
    this.#client = new MemoryPulsarClient(this.broker);
    this.#store = this.#open();
    await this.during("a start", this.start());
  }

  #open(): PulsarStore {
    const { clock } = this;
    return openPulsarStore({
      client: this.#client,
      admin: new ReplicatingAdmin(this.broker, this.#clusters),
      ...{ region: this.#region, clock, chance: this.chance, directWindow: 500 },
      retention: () => ({ retentionMs: 7 * 24 * 3_600_000, retentionBytes: 1e9 }),
      ...{ tailBytesMax: this.is(0.5) ? 20_000 : 1e7, flushMs: 400, sendTimeoutMs: 1_500 },
      ...{ catchUpReadersMax: 3, startMsMax: Infinity, sessions: this.is(0.3) ? 2 : 1 },
      logger: createLogger({ part: "test", level: "silent" }),
    });
  }
}
