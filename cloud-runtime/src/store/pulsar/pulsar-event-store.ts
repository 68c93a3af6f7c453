import {
  Backoff,
  eventClasses,
  MeshError,
  sleep,
  type EventClass,
  type Timer,
} from "@fleetmesh/core";
import { formatMessageId, parseMessageId } from "@fleetmesh/pulsar";
import type {
  AgentAppend,
  AgentReceipt,
  DirectAppend,
  DirectReceipt,
  EventStore,
  KnownWatermark,
  Page,
  Position,
  ReadLimit,
  RejectedRecord,
  ReplicatedAppend,
  StoredEvent,
  StoreLedger,
  TopicBounds,
} from "../event-store.ts";
import { newestStoredMs, RetentionClock } from "../shared/retention-clock.ts";
import { trimEveryMs } from "../shared/retention.ts";
import { topicStart } from "./message-place.ts";
import { PulsarEngine, type EngineOptions } from "./pulsar-engine.ts";
import { retryRange, stopping, unavailable, within } from "./store-ports.ts";
import { streamKey } from "./stream-table.ts";

const startPosition = formatMessageId(topicStart);
const settleMsMax = 10_000;

export interface PulsarEventStoreOptions extends EngineOptions {
  /** How long a start waits for the cluster, and for the fence of a node that died. Milliseconds. */
  readonly startMsMax: number;
}

/**
 * The region's event store on Pulsar. One node at a time serves a region's store: it holds the fence. When the fence is lost, with
 * the broker or to another node, everything in memory is thrown away, and read again when the fence is free.
 */
export class PulsarEventStore implements EventStore {
  readonly name = "event store (pulsar)";
  readonly #options: PulsarEventStoreOptions;
  #stopping = new AbortController();
  #engine: PulsarEngine | undefined;
  #reopening: Promise<void> | undefined;
  #isRunning = false;
  #trimTimer: Timer | undefined;

  constructor(options: PulsarEventStoreOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    if (this.#isRunning) return;
    this.#stopping = new AbortController();
    const { client, clock, startMsMax } = this.#options;
    await client.start();
    try {
      await this.#open(clock.monotonicMs() + startMsMax);
    } catch (error) {
      await client.stop(AbortSignal.abort());
      throw error;
    }
    this.#isRunning = true;
    this.#scheduleTrim(new RetentionClock(clock, newestStoredMs(this.#engine?.states() ?? [])));
  }

  async stop(deadline: AbortSignal): Promise<void> {
    this.#isRunning = false;
    this.#trimTimer?.cancel();
    this.#stopping.abort();
    await this.#reopening;
    const engine = this.#engine;
    this.#engine = undefined;
    await engine?.close(deadline);
    await this.#options.client.stop(deadline);
  }

  appendFromAgent(append: AgentAppend): Promise<AgentReceipt> {
    return this.#with((engine) => engine.appendFromAgent(append));
  }

  appendDirect(append: DirectAppend): Promise<DirectReceipt> {
    return this.#with((engine) => engine.appendDirect(append));
  }

  appendReplicated(append: ReplicatedAppend): Promise<{ readonly cursor: Position }> {
    return this.#with((engine) => engine.appendReplicated(append));
  }

  watermarks(agentId: string, epoch: string): Promise<Partial<Record<EventClass, KnownWatermark>>> {
    return this.#with(async ({ state, agents }) => {
      const known: Partial<Record<EventClass, KnownWatermark>> = {};
      for (const eventClass of eventClasses) {
        const key = streamKey({ agentId, epoch, eventClass });
        await this.#settled(agents.settled(key));
        const watermark = state.streams.watermark(key);
        const isSeen = watermark && watermark.sequence > 0;
        if (isSeen) known[eventClass] = { ...watermark, prints: state.streams.prints(key) };
      }
      return known;
    });
  }

  replicationCursor(originRegion: string, topic: string): Promise<Position | undefined> {
    return this.#with(async ({ state, links }) => {
      await this.#settled(links.settled(originRegion, topic));
      return state.links.cursor(originRegion, topic);
    });
  }

  read(topic: string, after: Position, limit: ReadLimit): Promise<Page> {
    return this.#with(async ({ topics }) => {
      const found = topics.get(topic);
      if (found) return found.read(after, limit);
      if (after === "earliest" || after === "latest" || after === startPosition)
        return { events: [], next: startPosition };
      const id = formatMessageId(parseMessageId(after));
      throw new MeshError("POSITION_INVALID", `"${id}" is not a position of ${topic}`);
    });
  }

  bounds(topic: string): Promise<TopicBounds> {
    const empty = { earliest: startPosition, latest: startPosition, stored: 0, trimmed: 0 };
    return this.#with(async ({ topics }) => topics.get(topic)?.bounds() ?? empty);
  }

  positionAt(topic: string, timeMs: number): Promise<Position> {
    return this.#with(async ({ topics }) => topics.get(topic)?.positionAt(timeMs) ?? startPosition);
  }

  topics(): Promise<string[]> {
    return this.#with(async (engine) => {
      await engine.readable();
      const stored = [...engine.state.topics.values()].filter((state) => state.stored > 0);
      return stored.map(({ topic }) => topic).sort();
    });
  }

  find(id: string, source?: string): Promise<StoredEvent[]> {
    return this.#with(async (engine) => {
      await engine.readable();
      return engine.search.find(id, source);
    });
  }

  rejected(limit: number): Promise<RejectedRecord[]> {
    return this.#with((engine) => engine.rejected(limit));
  }

  ledger(): Promise<StoreLedger> {
    return this.#with(async (engine) => {
      await engine.readable();
      return engine.state.ledger();
    });
  }

  onAppended(listener: (topics: readonly string[]) => void): () => void {
    return this.#options.watchers.add(listener);
  }

  trim(nowMs: number): Promise<void> {
    return this.#with(async (engine) => {
      await engine.readable();
      engine.trim(nowMs);
    });
  }

  async #open(untilMs: number): Promise<void> {
    const { clock, chance, logger } = this.#options;
    const backoff = new Backoff(retryRange, chance);
    const { signal } = this.#stopping;
    for (;;) {
      const engine = new PulsarEngine(this.#options);
      try {
        await Promise.race([engine.open(signal), engine.lost.then(fenceLost)]);
        this.#engine = engine;
        void engine.lost.then((reason) => this.#lose(engine, reason));
        return;
      } catch (error) {
        await engine.kill();
        const isPassing =
          MeshError.is(error) && (error.retryable || error.kind === "PULSAR_FENCED");
        if (this.#isStopping()) throw stopping();
        if (!isPassing || clock.monotonicMs() >= untilMs) throw error;
        logger.info({ err: error }, "The store cannot be opened yet.");
        await sleep(clock, backoff.next(), signal);
      }
    }
  }

  #isStopping(): boolean {
    return this.#stopping.signal.aborted;
  }

  #lose(engine: PulsarEngine, reason: Error): void {
    if (this.#engine !== engine || this.#stopping.signal.aborted) return;
    this.#engine = undefined;
    this.#options.logger.warn({ err: reason }, "The fence is lost; the store is opened again.");
    this.#reopening = this.#reopen(engine).finally(() => (this.#reopening = undefined));
  }

  /** Never rejects: only a stop ends it. */
  async #reopen(lost: PulsarEngine): Promise<void> {
    const { logger, clock } = this.#options;
    await lost.kill();
    while (!this.#stopping.signal.aborted && !this.#engine) {
      try {
        await this.#open(Infinity);
      } catch (error) {
        if (this.#isStopping()) return;
        logger.error({ err: error }, "The store cannot be opened.");
        await sleep(clock, retryRange.maxMs, this.#stopping.signal);
      }
    }
  }

  async #with<Answer>(ask: (engine: PulsarEngine) => Promise<Answer>): Promise<Answer> {
    if (!this.#isRunning) throw stopping();
    const engine = this.#engine;
    if (!engine) throw unavailable("The store is being opened");
    try {
      return await ask(engine);
    } catch (error) {
      throw this.#outward(error, engine);
    }
  }

  /** What Pulsar cannot do now, for whatever reason, is the store's trouble and not the caller's. */
  #outward(error: unknown, engine: PulsarEngine): unknown {
    if (!MeshError.is(error)) return error;
    const isLost = error.kind === "STOPPING" && this.#engine !== engine && this.#isRunning;
    if (isLost) return unavailable("The fence was lost", error);
    const isPulsars = error.kind.startsWith("PULSAR_") || error.kind === "TOPIC_UNKNOWN";
    return isPulsars ? unavailable(error.message, error) : error;
  }

  async #settled(promise: Promise<void>): Promise<void> {
    const late = (): MeshError => unavailable("What was answered cannot be read at the moment");
    await within(this.#options.clock, settleMsMax, { promise, late });
  }

  #scheduleTrim(time: RetentionClock): void {
    const { clock, logger } = this.#options;
    this.#trimTimer = clock.setTimer(trimEveryMs, () => {
      const round = this.#with(async (engine) => {
        await engine.refreshTopics();
        await engine.readable();
        engine.trim(time.nowMs());
      });
      round.catch((error: unknown) => {
        logger.debug({ err: error }, "A round of retention was left out.");
      });
      if (this.#isRunning) this.#scheduleTrim(time);
    });
  }
}

function fenceLost(reason: Error): never {
  throw new MeshError("PULSAR_UNAVAILABLE", "The fence was lost", { cause: reason });
}
