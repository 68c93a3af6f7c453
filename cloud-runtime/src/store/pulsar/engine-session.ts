import { Backoff, MeshError, sleep, type Part, type Timer } from "@fleetmesh/core";
import { newestStoredMs, RetentionClock } from "../shared/retention-clock.ts";
import { trimEveryMs } from "../shared/retention.ts";
import { PulsarEngine, type EngineOptions } from "./pulsar-engine.ts";
import { retryRange, stopping, unavailable } from "./store-ports.ts";

export interface SessionOptions extends EngineOptions {
  /** How long a start waits for the cluster, and for the fence of a node that died. Milliseconds. */
  readonly startMsMax: number;
  /** A start does not wait: the store refuses until it is open, and says why. */
  readonly opensLater: boolean;
  /** An event as large as the doors take; checked against what a message can carry. */
  readonly eventBytesMax: number;
}

/** About what an event's message has beside its bytes: names of properties, the stamp. */
const eventHeadBytes = 64 * 1024;
const toldEveryMs = 30_000;

/**
 * The one engine of a region's store on this node. One node at a time serves a region's store: it holds the fence. When the fence
 * is lost, with the broker or to another node, everything in memory is thrown away, and read again when the fence is free.
 */
export class EngineSession implements Part {
  readonly name = "store (pulsar)";
  readonly #options: SessionOptions;
  #stopping = new AbortController();
  #engine: PulsarEngine | undefined;
  #opening: Promise<void> | undefined;
  #isRunning = false;
  #trimTimer: Timer | undefined;
  #absence: string | undefined = "the store was not started";
  #toldMs = -Infinity;

  constructor(options: SessionOptions) {
    this.#options = options;
  }

  /** Why the store is not there, in words; undefined when it is. */
  get absence(): string | undefined {
    return this.#absence;
  }

  async start(): Promise<void> {
    if (this.#isRunning) return;
    this.#stopping = new AbortController();
    const { client, clock, startMsMax, opensLater } = this.#options;
    try {
      await this.#open(opensLater ? -Infinity : clock.monotonicMs() + startMsMax);
    } catch (error) {
      if (!opensLater || !isPassing(error) || this.#isStopping()) {
        await client.stop(AbortSignal.abort());
        throw error;
      }
      this.#openLater(Promise.resolve());
    }
    this.#isRunning = true;
  }

  async stop(deadline: AbortSignal): Promise<void> {
    this.#isRunning = false;
    this.#trimTimer?.cancel();
    this.#trimTimer = undefined;
    this.#stopping.abort();
    this.#absence = "the store is stopped";
    await this.#opening;
    const engine = this.#engine;
    this.#engine = undefined;
    await engine?.close(deadline);
    await this.#options.client.stop(deadline);
  }

  /** Errors: those of the question, what Pulsar cannot do now as STORE_UNAVAILABLE, STOPPING. */
  async ask<Answer>(question: (engine: PulsarEngine) => Answer | Promise<Answer>): Promise<Answer> {
    if (!this.#isRunning) throw stopping();
    const engine = this.#engine;
    if (!engine) throw unavailable(this.#absence ?? "The store is being opened");
    try {
      return await question(engine);
    } catch (error) {
      throw this.#outward(error, engine);
    }
  }

  async #open(untilMs: number): Promise<void> {
    const { clock, chance } = this.#options;
    const backoff = new Backoff(retryRange, chance);
    for (;;) {
      try {
        await this.#tryOpen();
        return;
      } catch (error) {
        if (this.#isStopping()) throw stopping();
        this.#tellAbsence(error);
        if (!isPassing(error) || clock.monotonicMs() >= untilMs) throw error;
        await sleep(clock, backoff.next(), this.#stopping.signal);
      }
    }
  }

  async #tryOpen(): Promise<void> {
    const { client, admin, logger } = this.#options;
    await client.start();
    this.#assertEventsFit();
    await admin.ensureNamespace([]);
    const engine = new PulsarEngine(this.#options);
    try {
      await Promise.race([engine.open(this.#stopping.signal), engine.lost.then(fenceLost)]);
    } catch (error) {
      await engine.kill();
      throw error;
    }
    this.#engine = engine;
    if (this.#toldMs !== -Infinity) logger.info("The store in Pulsar is open.");
    [this.#absence, this.#toldMs] = [undefined, -Infinity];
    void engine.lost.then((reason) => this.#lose(engine, reason));
    // Whoever listens has missed what others stored meanwhile.
    this.#options.watchers.tell(storedTopics(engine));
    if (!this.#trimTimer) {
      const { clock } = this.#options;
      this.#scheduleTrim(new RetentionClock(clock, newestStoredMs(engine.states())));
    }
  }

  #assertEventsFit(): void {
    const { client, eventBytesMax } = this.#options;
    const fitting = client.messageBytesMax - eventHeadBytes;
    if (eventBytesMax <= fitting) return;
    const text = `limits.maxEventBytes is ${eventBytesMax}; a message of this Pulsar carries events up to ${fitting} bytes`;
    throw new MeshError("CONFIG_INVALID", text, {
      hint: "Lower limits.maxEventBytes, or raise maxMessageSize in the brokers' and bookies' configuration.",
    });
  }

  /** Once when it changes, then every half minute: the log of a long outage stays readable. */
  #tellAbsence(error: unknown): void {
    const { logger, clock, name } = this.#options;
    const { message } = MeshError.from(error);
    const absence = MeshError.is(error, "PULSAR_FENCED")
      ? `Another node serves the store "${name}"; this one takes over when that one is gone`
      : `Pulsar cannot be used: ${message}`;
    const isNews = absence !== this.#absence || clock.monotonicMs() - this.#toldMs >= toldEveryMs;
    this.#absence = absence;
    if (!isNews) return;
    this.#toldMs = clock.monotonicMs();
    logger.warn({ err: error }, `The store is not open. ${absence}.`);
  }

  #isStopping(): boolean {
    return this.#stopping.signal.aborted;
  }

  #lose(engine: PulsarEngine, reason: Error): void {
    if (this.#engine !== engine || this.#isStopping()) return;
    this.#engine = undefined;
    this.#absence = "The fence was lost; the store is being opened again";
    this.#toldMs = this.#options.clock.monotonicMs();
    this.#options.logger.warn({ err: reason }, "The fence is lost; the store is opened again.");
    this.#openLater(engine.kill());
  }

  #openLater(before: Promise<void>): void {
    this.#opening = before
      .then(() => this.#openAtLast())
      .finally(() => (this.#opening = undefined));
  }

  /** Never rejects: only a stop ends it. */
  async #openAtLast(): Promise<void> {
    const { clock } = this.#options;
    while (!this.#isStopping() && !this.#engine) {
      try {
        await this.#open(Infinity);
      } catch {
        // Told already. A token or a permission may come back, too.
        await sleep(clock, retryRange.maxMs, this.#stopping.signal);
      }
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

  #scheduleTrim(time: RetentionClock): void {
    const { clock, logger } = this.#options;
    this.#trimTimer = clock.setTimer(trimEveryMs, () => {
      const round = this.ask(async (engine) => {
        await engine.topics.refresh();
        await engine.readable();
        engine.topics.trim(time.nowMs());
      });
      round.catch((error: unknown) => {
        logger.debug({ err: error }, "A round of retention was left out.");
      });
      if (!this.#isStopping()) this.#scheduleTrim(time);
    });
  }
}

function storedTopics(engine: PulsarEngine): string[] {
  const stored = engine.states().filter((state) => state.stored > 0);
  return stored.map(({ topic }) => topic);
}

function isPassing(error: unknown): boolean {
  return MeshError.is(error) && (error.retryable || error.kind === "PULSAR_FENCED");
}

function fenceLost(reason: Error): never {
  throw new MeshError("PULSAR_UNAVAILABLE", "The fence was lost", { cause: reason });
}
