import {
  compileTopicPattern,
  isTopic,
  MeshError,
  sleep,
  type Chance,
  type Clock,
  type Logger,
  type Part,
} from "@fleetmesh/core";
import type { Registry } from "prom-client";
import type { Metadata, Subscription } from "../metadata/metadata.ts";
import type { Cursor, DeliveryStore } from "../store/delivery-store.ts";
import type { EventStore } from "../store/event-store.ts";
import type { TargetFactory } from "../target/target.ts";
import { Transforms, type TransformSource } from "../transform/transforms.ts";
import { collectDelivery } from "./collect-delivery.ts";
import { CursorTracker } from "./cursor-tracker.ts";
import { DeliveryJournal } from "./delivery-journal.ts";
import { createDeliveryMetrics, type DeliveryMetrics } from "./delivery-metrics.ts";
import { Feed } from "./feed.ts";
import { GroupTeller } from "./group-teller.ts";
import { groupOf } from "./group-of.ts";
import { ReadTurns } from "./read-turns.ts";
import { RunnerTelemetry } from "./runner-telemetry.ts";
import { isSameButState } from "./is-same-but-state.ts";
import type { RunnerBounds } from "./runner-options.ts";
import { SubscriptionRunner } from "./subscription-runner.ts";
import {
  firstCursor,
  startsOf,
  storedTopics,
  type StartFrom,
  type Starts,
} from "./subscription-starts.ts";
import { TargetGates } from "./target-gate.ts";
import { TopicReader } from "./topic-reader.ts";

export interface DispatcherOptions {
  readonly store: EventStore;
  readonly deliveries: DeliveryStore;
  readonly metadata: Metadata;
  readonly createTarget: TargetFactory;
  readonly clock: Clock;
  readonly chance: Chance;
  readonly logger: Logger;
  readonly registry: Registry;
  readonly bounds?: Partial<RunnerBounds>;
  /** Its own, where none is given. */
  readonly transforms?: TransformSource | undefined;
  /** Of an event that a transform makes. */
  readonly maxEventBytes?: number | undefined;
}

const boundsDefault: RunnerBounds = { bytesMax: 4 * 2 ** 20, inHandMax: 10_000 };
const readTurnsMax = 8;
/** What was only filtered needs no haste: it is filtered again after a crash, with the same result. */
const idleFlushMs = 5_000;
const retryStartMs = 1_000;

interface Running {
  readonly subscription: Subscription;
  readonly runner: SubscriptionRunner;
}

/**
 * Brings every stored event to every subscription that wants it. Follows the metadata: what changes there starts, restarts or
 * stops here, one change after the other per subscription.
 * Guarantees: an event is settled in the store only after the target took it, it was given up into the dead letters, expired, or
 * retention took it; after a crash at most what was settled since the last flush (some 100 ms) is delivered again, under the
 * same identity.
 */
export class Dispatcher implements Part {
  readonly name = "dispatcher";
  readonly metrics: DeliveryMetrics;
  readonly transforms: TransformSource;
  readonly #options: DispatcherOptions;
  #journal: DeliveryJournal;
  readonly #gates: TargetGates;
  readonly #teller: GroupTeller | undefined;
  readonly #turns = new ReadTurns(readTurnsMax);
  readonly #readers = new Map<string, TopicReader>();
  readonly #running = new Map<string, Running>();
  /** The last change under way per subscription. */
  readonly #changes = new Map<string, Promise<void>>();
  readonly #flushedIndex = new WeakMap<Feed, number>();
  #unfollow: (() => void)[] = [];
  #stopping = new AbortController();
  #idleLoop: Promise<void> | undefined;
  #phase: "new" | "running" | "stopped" = "new";

  constructor(options: DispatcherOptions) {
    this.#options = options;
    this.#gates = new TargetGates(options.clock);
    this.#journal = this.#newJournal();
    const { groups } = options.store;
    const feeds = () => this.#feeds();
    this.#teller = groups && new GroupTeller({ groups, feeds, clock: options.clock });
    this.metrics = createDeliveryMetrics(options.registry, () => this.#collect());
    const { maxEventBytes } = options;
    const limits = maxEventBytes === undefined ? {} : { maxEventBytes };
    this.transforms = options.transforms ?? new Transforms({ ...options, limits });
  }

  async start(): Promise<void> {
    if (this.#phase !== "new") return;
    const { store, metadata } = this.#options;
    for (const topic of await storedTopics(store)) this.#reader(topic);
    this.#phase = "running";
    this.#unfollow = [
      store.onAppended((topics) => this.#appended(topics)),
      metadata.onChanged(() => this.#reconcile()),
      this.#options.deliveries.onInterrupted?.(() => this.#startOver()) ?? (() => undefined),
    ];
    this.#reconcile();
    await Promise.all(this.#changes.values());
    this.#idleLoop = this.#flushIdle();
    this.#teller?.start();
  }

  async stop(deadline: AbortSignal): Promise<void> {
    if (this.#phase === "stopped") return;
    this.#phase = "stopped";
    this.#stopping.abort();
    for (const unfollow of this.#unfollow) unfollow();
    await Promise.all(this.#changes.values());
    const running = [...this.#running.values()];
    await Promise.all(running.map(({ runner }) => runner.stop(deadline)));
    await this.transforms.stop();
    await Promise.all([...this.#readers.values()].map((reader) => reader.stop()));
    await this.#idleLoop;
    await this.#teller?.stop();
    await this.#teller?.tell(this.#feeds());
    for (const feed of this.#feeds()) this.#journal.moved(feed);
    await this.#journal.stop();
  }

  runner(id: string): SubscriptionRunner | undefined {
    return this.#running.get(id)?.runner;
  }

  get storeFailure(): MeshError | undefined {
    return this.#journal.failure;
  }

  /**
   * Makes the start of a new subscription durable; call it before the subscription itself is kept. What is published from the
   * moment this resolves will be delivered.
   */
  prepare(subscription: Subscription, from: StartFrom): Promise<Starts> {
    return this.#inTurn(subscription.id, async () => {
      const { store, deliveries } = this.#options;
      await deliveries.forget(subscription.id);
      const starts = await startsOf(store, subscription, { from, known: new Set() });
      await this.#commitCursors(starts.cursors);
      return starts;
    });
  }

  /** The same for the topics that a changed pattern adds. */
  prepareMore(subscription: Subscription): Promise<Starts> {
    return this.#inTurn(subscription.id, async () => {
      const { store, deliveries } = this.#options;
      const cursors = await deliveries.cursors(subscription.id);
      const known = new Set(cursors.map(({ topic }) => topic));
      const starts = await startsOf(store, subscription, { from: "latest", known });
      await this.#commitCursors(starts.cursors);
      return starts;
    });
  }

  /** Everything settled so far is in the store. */
  async flush(): Promise<void> {
    await this.#journal.flush();
  }

  /** Resolves when every change of the metadata so far has taken effect. */
  async settled(): Promise<void> {
    await Promise.all(this.#changes.values());
  }

  #newJournal(): DeliveryJournal {
    const { deliveries, clock } = this.#options;
    return new DeliveryJournal(deliveries, clock, () => this.#pumpAll());
  }

  /** Another node has moved the cursors meanwhile: what is in hand may be settled long since. */
  #startOver(): void {
    this.#journal.abandon();
    this.#journal = this.#newJournal();
    for (const [id, { subscription, runner }] of this.#running) {
      this.#running.delete(id);
      void this.#inTurn(id, async () => {
        await runner.stop(AbortSignal.abort());
        this.#gates.give(subscription.sink);
        await this.#bringUp(id);
      });
    }
  }

  #reader(topic: string): TopicReader {
    const known = this.#readers.get(topic);
    if (known) return known;
    const { store, clock } = this.#options;
    const reader = new TopicReader(topic, store, clock);
    this.#readers.set(topic, reader);
    return reader;
  }

  #appended(topics: readonly string[]): void {
    for (const topic of topics) {
      const known = this.#readers.get(topic);
      if (known) known.wake();
      else this.#topicAppeared(topic);
    }
  }

  #topicAppeared(topic: string): void {
    this.#reader(topic);
    for (const { subscription } of this.#running.values()) {
      if (!compileTopicPattern(subscription.topic)(topic)) continue;
      void this.#inTurn(subscription.id, async () => {
        const running = this.#running.get(subscription.id);
        if (running && !running.runner.feeds.has(topic)) await this.#openFeed(running, topic);
      });
    }
  }

  #reconcile(): void {
    const wanted = new Set<string>();
    for (const subscription of this.#options.metadata.subscriptions()) {
      wanted.add(subscription.id);
      const kept = this.#running.get(subscription.id)?.subscription;
      // A change under way may hide one more: then it looks again when its turn comes.
      if (kept?.revision !== subscription.revision || this.#changes.has(subscription.id))
        this.#follow(subscription.id);
    }
    for (const id of [...this.#running.keys(), ...this.#changes.keys()])
      if (!wanted.has(id)) this.#follow(id);
  }

  #follow(id: string): void {
    void this.#inTurn(id, () => this.#bringUp(id));
  }

  /** One change per subscription at a time. A failure is logged and tried again: the metadata stays the wish. */
  #inTurn<Result>(id: string, change: () => Promise<Result>): Promise<Result> {
    const before = this.#changes.get(id) ?? Promise.resolve();
    const result = before.then(change);
    const settled = result.then(
      () => undefined,
      () => undefined,
    );
    this.#changes.set(id, settled);
    void settled.then(() => {
      if (this.#changes.get(id) === settled) this.#changes.delete(id);
    });
    return result;
  }

  async #bringUp(id: string): Promise<void> {
    if (this.#phase !== "running") return;
    try {
      await this.#apply(id);
    } catch (error) {
      // A store that is away has said so itself.
      const level = MeshError.is(error, "STORE_UNAVAILABLE") ? "debug" : "error";
      this.#options.logger[level]({ err: error, subscription: id }, "Subscription not started.");
      this.#options.clock.setTimer(retryStartMs, () => this.#follow(id));
    }
  }

  async #apply(id: string): Promise<void> {
    const wanted = this.#options.metadata.subscription(id);
    const running = this.#running.get(id);
    if (running && wanted && isSameButState(running.subscription, wanted)) {
      this.#running.set(id, { subscription: wanted, runner: running.runner });
      running.runner.setState(wanted.state);
      return;
    }
    if (running) await this.#halt(running);
    if (wanted) await this.#launch(wanted);
    else if (running) await this.#options.deliveries.forget(id);
  }

  async #halt({ subscription, runner }: Running): Promise<void> {
    // What is in flight has its time-out to end; what is repeated keeps its identity.
    const deadline = new AbortController();
    const timer = this.#options.clock.setTimer(subscription.delivery.timeoutMs, () =>
      deadline.abort(),
    );
    await runner.stop(deadline.signal);
    timer.cancel();
    for (const feed of runner.feeds.values()) this.#journal.moved(feed);
    await this.#journal.flush();
    await this.#teller?.tell(runner.feeds.values());
    this.#gates.give(subscription.sink);
    this.#running.delete(subscription.id);
  }

  async #launch(subscription: Subscription): Promise<void> {
    const { deliveries, createTarget, store, clock, chance } = this.#options;
    const cursors = await deliveries.cursors(subscription.id);
    const retries = await deliveries.retries(subscription.id);
    const target = createTarget(subscription);
    const runner = new SubscriptionRunner(
      {
        subscription,
        target,
        store,
        journal: this.#journal,
        clock,
        chance,
        gate: this.#gates.take(subscription.sink),
        telemetry: new RunnerTelemetry(this.metrics, subscription.id, target.kind),
        transformer: this.transforms.open(subscription),
        bounds: { ...boundsDefault, ...this.#options.bounds },
        onRetired: (reason) => this.#retire(subscription.id, reason),
      },
      retries,
    );
    // Its series are there before the topic is.
    if (isTopic(subscription.topic)) runner.telemetry.follows(subscription.topic);
    const running = { subscription, runner };
    this.#running.set(subscription.id, running);
    const isWanted = compileTopicPattern(subscription.topic);
    for (const cursor of cursors)
      if (isWanted(cursor.topic)) await this.#openFeed(running, cursor.topic, cursor);
    for (const topic of this.#readers.keys())
      if (isWanted(topic) && !runner.feeds.has(topic)) await this.#openFeed(running, topic);
  }

  async #openFeed({ subscription, runner }: Running, topic: string, kept?: Cursor): Promise<void> {
    const { store, clock } = this.#options;
    const cursor = kept ?? (await firstCursor(store, subscription.id, topic));
    const startIndex = subscription.starts?.[topic] ?? 0;
    const start = { subscription: subscription.id, topic, cursor, startIndex };
    const tracker = new CursorTracker(start);
    const reader = this.#reader(topic);
    const group = await groupOf(store, subscription, topic);
    const turns = this.#turns;
    const feed = new Feed({ owner: runner, tracker, reader, store, clock, turns, group });
    runner.feeds.set(topic, feed);
    runner.telemetry.follows(topic);
    feed.readOn();
  }

  #commitCursors(cursors: readonly Cursor[]): Promise<void> {
    if (cursors.length === 0) return Promise.resolve();
    const nothing = { retries: [], retriesDone: [], deadLetters: [], records: [] };
    return this.#options.deliveries.commit({ cursors, ...nothing });
  }

  #retire(id: string, reason: string): void {
    const { metadata, logger, clock } = this.#options;
    const kept = metadata.subscription(id);
    if (!kept || kept.state === "disabled" || this.#phase !== "running") return;
    const change = { state: "disabled", stateReason: `retired: ${reason}` } as const;
    metadata
      .putSubscription({ ...kept, ...change, revision: kept.revision + 1 })
      .catch((error: unknown) => {
        logger.warn({ err: error, subscription: id }, "Subscription not disabled yet.");
        clock.setTimer(retryStartMs, () => this.#retire(id, reason));
      });
  }

  #pumpAll(): void {
    for (const { runner } of this.#running.values()) runner.pump();
  }

  *#feeds(): Generator<Feed> {
    for (const { runner } of this.#running.values()) yield* runner.feeds.values();
  }

  async #flushIdle(): Promise<void> {
    while (this.#phase === "running") {
      await sleep(this.#options.clock, idleFlushMs, this.#stopping.signal);
      for (const feed of this.#feeds()) {
        if (this.#flushedIndex.get(feed) === feed.index) continue;
        this.#flushedIndex.set(feed, feed.index);
        this.#journal.moved(feed);
      }
    }
  }

  /** At a scrape: what is derived from the cursors. */
  #collect(): void {
    const readIndex = (topic: string): number => this.#reader(topic).index;
    collectDelivery(this.metrics, this.#running, readIndex);
  }
}
