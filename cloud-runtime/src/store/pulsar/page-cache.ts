import type { StoredEvent } from "../event-store.ts";

/**
 * The pages that were read last from far behind the tail. Subscriptions that begin at one place read the same pages one after the
 * other: each is read from the broker once. What a folded stretch of a topic gives does not change.
 */
export class PageCache {
  readonly #countMax: number;
  readonly #pages = new Map<string, Promise<readonly StoredEvent[]>>();

  constructor(countMax: number) {
    this.#countMax = countMax;
  }

  /** An empty page is not kept: what is behind it is decided by where the tail begins, which moves. */
  async get(
    key: string,
    read: () => Promise<readonly StoredEvent[]>,
  ): Promise<readonly StoredEvent[]> {
    const page = this.#pages.get(key) ?? read();
    this.#pages.delete(key);
    this.#pages.set(key, page);
    for (const oldest of this.#pages.keys()) {
      if (this.#pages.size <= this.#countMax) break;
      this.#pages.delete(oldest);
    }
    try {
      const events = await page;
      if (events.length === 0) this.#pages.delete(key);
      return events;
    } catch (error) {
      this.#pages.delete(key);
      throw error;
    }
  }
}
