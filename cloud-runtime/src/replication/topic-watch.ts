import { sleep, type Clock } from "@fleetmesh/core";
import type { EventStore } from "../store/event-store.ts";

/** Waiting for topics to grow: one listener on the store for all who wait. */
export class TopicWatch {
  readonly #clock: Clock;
  /** How often each topic grew while watched. */
  readonly #growth = new Map<string, number>();
  readonly #waiting = new Map<string, Set<() => void>>();
  readonly #forget: () => void;

  constructor(store: EventStore, clock: Clock) {
    this.#clock = clock;
    this.#forget = store.onAppended((topics) => {
      for (const topic of topics) this.#grew(topic);
    });
  }

  /** To be taken before the reading that may find nothing, and given to `changed`. */
  growthOf(topic: string): number {
    return this.#growth.get(topic) ?? 0;
  }

  /** Resolves when the topic grew since, when the time is over, or when the signal aborts. */
  async changed(
    topic: string,
    since: number,
    wait: { readonly ms: number; readonly signal: AbortSignal },
  ): Promise<void> {
    if (this.growthOf(topic) !== since || wait.ms <= 0 || wait.signal.aborted) return;
    const growing = new AbortController();
    const wake = (): void => growing.abort();
    const waiting = this.#waiting.get(topic) ?? new Set();
    this.#waiting.set(topic, waiting.add(wake));
    wait.signal.addEventListener("abort", wake, { once: true });
    await sleep(this.#clock, wait.ms, growing.signal);
    wait.signal.removeEventListener("abort", wake);
    waiting.delete(wake);
    if (waiting.size === 0 && this.#waiting.get(topic) === waiting) this.#waiting.delete(topic);
  }

  close(): void {
    this.#forget();
    for (const waiting of this.#waiting.values()) for (const wake of waiting) wake();
  }

  #grew(topic: string): void {
    this.#growth.set(topic, this.growthOf(topic) + 1);
    for (const wake of this.#waiting.get(topic) ?? []) wake();
  }
}
