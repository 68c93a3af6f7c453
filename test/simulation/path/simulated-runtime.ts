import { createLogger, type SimulatedClock } from "@fleetmesh/core";
import { Registry } from "prom-client";
import { Dispatcher } from "../../../cloud-runtime/src/delivery/dispatcher.ts";
import { AgentIngress } from "../../../cloud-runtime/src/ingress/agent-ingress.ts";
import { AgentRoute } from "../../../cloud-runtime/src/ingress/agent-route.ts";
import { MemoryMetadata } from "../../../cloud-runtime/src/metadata/memory-metadata.ts";
import type { Subscription } from "../../../cloud-runtime/src/metadata/metadata.ts";
import {
  openMemoryStore,
  type MemoryStore,
} from "../../../cloud-runtime/src/store/memory-store.ts";
import type { Retention } from "../../../cloud-runtime/src/store/shared/retention.ts";
import { createRuntimeMetrics } from "../../../cloud-runtime/src/telemetry/runtime-metrics.ts";
import type { BrokerFront } from "./broker-front.ts";
import type { Draw } from "./draw.ts";
import { readAll } from "./invariants.ts";
import { OwnWallClock } from "./own-wall-clock.ts";
import { guardReads } from "./read-guard.ts";
import { SimulatedTarget } from "./simulated-target.ts";
import type { Trace } from "./trace.ts";
import { whileTimePasses } from "./while-time-passes.ts";

const logger = createLogger({ part: "simulation", level: "silent" });
/** Nobody looks at them here, and making them anew for each process costs more than the process. */
const metrics = createRuntimeMetrics({
  region: "simulated",
  withProcess: false,
  ledger: () => Promise.reject(new Error("Nobody asks")),
  topics: { topics: () => [], topic: () => undefined },
});

export interface RuntimeWorld {
  readonly clock: SimulatedClock;
  readonly draw: Draw;
  readonly trace: Trace;
  readonly front: BrokerFront;
  readonly retention: Retention;
  /** How long the disk takes for a commit. */
  readonly commitMs: number;
  readonly subscriptions: readonly Subscription[];
  readonly onViolation: (what: string) => void;
}

/** The region: the real ingress and dispatcher, made anew with each process, over a store and targets that outlive them. */
export class SimulatedRuntime {
  readonly wall: OwnWallClock;
  readonly metadata = new MemoryMetadata({ autoCreateTopics: true });
  readonly targets = new Map<string, SimulatedTarget>();
  store: MemoryStore;
  dispatcher: Dispatcher;
  readonly #world: RuntimeWorld;
  #ingress: AgentIngress;

  constructor(world: RuntimeWorld) {
    const { clock, subscriptions, retention } = world;
    this.#world = world;
    this.wall = new OwnWallClock(clock);
    for (const { id } of subscriptions) this.targets.set(id, new SimulatedTarget(id, world));
    this.store = openMemoryStore({
      region: "simulated",
      clock: this.wall,
      commitMs: world.commitMs,
      retention: () => retention,
      onFailure: () => undefined,
    });
    guardReads(this.store, clock, world.onViolation);
    this.#ingress = this.#newIngress();
    this.dispatcher = this.#newDispatcher(new Map());
  }

  async start(): Promise<void> {
    const { clock, subscriptions, trace, front } = this.#world;
    for (const subscription of subscriptions)
      if (!this.metadata.subscription(subscription.id))
        await this.metadata.putSubscription(subscription);
    await this.store.events.start();
    await this.store.deliveries.start();
    this.#ingress = this.#newIngress();
    this.dispatcher = this.#newDispatcher(await this.#settledDurably());
    await whileTimePasses(clock, "the dispatcher's start", this.dispatcher.start());
    const publishTo = (topic: string, payload: Uint8Array): Promise<void> =>
      front.publishTo(topic, payload);
    const onFault = (): void => undefined;
    front.serve(new AgentRoute({ ingress: this.#ingress, publishTo, onFault }));
    trace.note("region", "serves");
  }

  /** The process dies. What was in hand is lost, or stored without an answer. */
  async crash(leaves: "nothing" | "unanswered"): Promise<void> {
    const { clock, front, trace } = this.#world;
    trace.note("region", `crashes, leaving ${leaves}`);
    this.store.crash(leaves);
    front.serve(undefined);
    // The dead process's objects let go without a word to the store, which refuses them anyhow.
    const over = AbortSignal.abort();
    const gone = Promise.allSettled([this.dispatcher.stop(over), this.#ingress.stop(over)]);
    await whileTimePasses(clock, "the end of the region's process", gone);
  }

  /** The disk is lost and an older backup takes its place; the process must be down. */
  restore(backup: MemoryStore): void {
    this.store = backup.backup();
    guardReads(this.store, this.#world.clock, this.#world.onViolation);
  }

  async stop(): Promise<void> {
    await this.crash("nothing");
  }

  /** Brings back what a target's 410 disabled. */
  async enableAll(): Promise<void> {
    for (const subscription of this.metadata.subscriptions()) {
      if (subscription.state === "active") continue;
      const { revision } = subscription;
      await this.metadata.putSubscription({
        ...subscription,
        state: "active",
        revision: revision + 1,
      });
    }
  }

  /** Per subscription, the ids of events that the durable cursors say are settled. */
  async #settledDurably(): Promise<Map<string, Set<string>>> {
    const { events, deliveries } = this.store;
    const all = new Map<string, Set<string>>();
    for (const { id } of this.#world.subscriptions) {
      const settled = new Set<string>();
      all.set(id, settled);
      for (const { topic, position, ahead } of await deliveries.cursors(id)) {
        const page = await events.read(topic, "earliest", readAll);
        const isAhead = new Set(ahead);
        for (const stored of page.events)
          if (Number(stored.position) <= Number(position) || isAhead.has(stored.position))
            settled.add(stored.entry.event.id);
      }
    }
    return all;
  }

  #newIngress(): AgentIngress {
    const { store, metadata, wall: clock } = this;
    return new AgentIngress(
      { store: store.events, metadata, metrics, clock, logger },
      { maxEventBytes: 65_536, messageBytesMax: 1e6, unpackedBytesMax: 1e7, inFlightBytes: 4_000 },
    );
  }

  #newDispatcher(settled: ReadonlyMap<string, ReadonlySet<string>>): Dispatcher {
    const answered = new Map<string, Set<string>>();
    return new Dispatcher({
      store: this.store.events,
      deliveries: this.store.deliveries,
      metadata: this.metadata,
      createTarget: ({ id }) => {
        // A subscription that is started anew in one process goes on from what it had settled.
        const known = answered.get(id) ?? new Set();
        answered.set(id, known);
        const target = this.targets.get(id);
        if (target === undefined) throw new Error(`No target ${id}`);
        return target.open(settled.get(id) ?? new Set(), known);
      },
      clock: this.wall,
      chance: this.#world.draw.chance,
      logger,
      registry: new Registry(),
      bounds: { bytesMax: 8_000, inHandMax: 20 },
    });
  }
}
