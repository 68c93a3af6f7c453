import { MeshError, sleep, type Clock, type Logger, type Part } from "@fleetmesh/core";
import type { EventStore, TopicBounds } from "../store/event-store.ts";
import type { Metadata } from "./metadata.ts";

export interface TopicRemovalOptions {
  readonly metadata: Metadata;
  readonly store: Pick<EventStore, "bounds" | "remove">;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Each tells, in words, who does not have all of a topic yet. */
  readonly waitsFor: readonly ((
    topic: string,
    bounds: TopicBounds,
  ) => Promise<string | undefined>)[];
  /** After a start, until other regions have had the time to say that they fetch a topic. Milliseconds. */
  readonly startMs?: number;
}

const startMsDefault = 30_000;
const retryMs = 1_000;

/**
 * Takes topics away that the metadata is removing: when everybody has had all of their events, their store lets go of them, then the
 * metadata. A crash in between leaves the rest to the next start.
 */
export class TopicRemoval implements Part {
  readonly name = "topic removal";
  readonly #options: TopicRemovalOptions;
  /** Why a topic is still there. */
  readonly #reasons = new Map<string, string>();
  readonly #attempts = new Map<string, Promise<string | undefined>>();
  #stopping = new AbortController();
  #unfollow: (() => void) | undefined;
  #running: Promise<void> | undefined;

  constructor(options: TopicRemovalOptions) {
    this.#options = options;
  }

  start(): Promise<void> {
    this.#stopping = new AbortController();
    this.#unfollow ??= this.#options.metadata.onChanged(() => this.#wake());
    this.#wake(this.#options.startMs ?? startMsDefault);
    return Promise.resolve();
  }

  async stop(): Promise<void> {
    this.#unfollow?.();
    this.#unfollow = undefined;
    this.#stopping.abort();
    await this.#running;
    this.#running = undefined;
  }

  /** Why the topic is still there, in words; undefined when nothing is known of that. */
  reasonFor(topic: string): string | undefined {
    return this.#reasons.get(topic);
  }

  /** Begins to remove the topic. Answers why it is still there; undefined when it is gone. Errors: those of Metadata.beginRemoval. */
  async remove(topic: string): Promise<string | undefined> {
    await this.#options.metadata.beginRemoval(topic);
    return this.#try(topic);
  }

  #wake(afterMs = 0): void {
    if (this.#isOver()) return;
    this.#running ??= this.#run(afterMs).finally(() => (this.#running = undefined));
  }

  async #run(afterMs: number): Promise<void> {
    const { metadata, clock } = this.#options;
    if (afterMs > 0) await sleep(clock, afterMs, this.#stopping.signal);
    while (!this.#isOver()) {
      for (const { name } of metadata.removing()) await this.#try(name);
      await sleep(clock, retryMs, this.#stopping.signal);
    }
  }

  #isOver(): boolean {
    return this.#stopping.signal.aborted || this.#options.metadata.removing().length === 0;
  }

  /** One attempt per topic at a time. Never rejects: a store that is away is a reason, too. */
  #try(topic: string): Promise<string | undefined> {
    const running = this.#attempts.get(topic) ?? this.#attempt(topic);
    this.#attempts.set(topic, running);
    return running;
  }

  async #attempt(topic: string): Promise<string | undefined> {
    const why = await this.#removed(topic).catch((error: unknown) => MeshError.from(error).message);
    if (why === undefined) {
      this.#reasons.delete(topic);
      this.#options.logger.info({ topic }, "The topic is removed.");
    } else {
      const isNews = this.#reasons.get(topic) !== why;
      this.#reasons.set(topic, why);
      if (isNews) this.#options.logger.info({ topic }, `The topic is not removed yet: ${why}.`);
    }
    this.#attempts.delete(topic);
    return why;
  }

  async #removed(topic: string): Promise<string | undefined> {
    const { metadata, store, waitsFor } = this.#options;
    const bounds = await store.bounds(topic);
    for (const waits of waitsFor) {
      const why = await waits(topic, bounds);
      if (why !== undefined) return why;
    }
    const why = await store.remove(topic, bounds.latest);
    if (why === undefined) await metadata.endRemoval(topic);
    return why;
  }
}
