import type {
  Cursor,
  DeadLetter,
  DeadLetterQuery,
  DeliveryCommit,
  DeliveryRecord,
  DeliveryStore,
  PendingRetry,
  SettledDeadLetters,
} from "../delivery-store.ts";
import type { MemoryCommits } from "./memory-commits.ts";

interface DeadLetterGroup {
  readonly subscription: string;
  readonly reason: string;
  readonly count: number;
  readonly oldestMs: number;
}

/** The delivery store in this process's memory; shares the event store's commits, so that both crash at one point. */
export class MemoryDeliveryStore implements DeliveryStore {
  readonly name = "delivery store (memory)";
  readonly #commits: MemoryCommits;
  readonly #recordsMax: number;
  readonly #cursors = new Map<string, Cursor>();
  readonly #retries = new Map<string, PendingRetry>();
  readonly #deadLetters = new Map<string, DeadLetter>();
  /** Age of every dead letter ever, so that a page can go on after one that was settled meanwhile. */
  readonly #ages = new Map<string, number>();
  readonly #settled = new Map<string, SettledDeadLetters>();
  #records: DeliveryRecord[] = [];

  constructor(commits: MemoryCommits, recordsMax: number) {
    this.#commits = commits;
    this.#recordsMax = recordsMax;
  }

  async start(): Promise<void> {
    this.#commits.open();
    return Promise.resolve();
  }

  async stop(): Promise<void> {
    this.#commits.close();
    return Promise.resolve();
  }

  /** A store over other commits with what is durable now. Not started. */
  copy(commits: MemoryCommits): MemoryDeliveryStore {
    const copy = new MemoryDeliveryStore(commits, this.#recordsMax);
    for (const [key, cursor] of this.#cursors) copy.#cursors.set(key, cursor);
    for (const [key, retry] of this.#retries) copy.#retries.set(key, retry);
    for (const [id, letter] of this.#deadLetters) copy.#deadLetters.set(id, letter);
    for (const [id, age] of this.#ages) copy.#ages.set(id, age);
    for (const [subscription, settled] of this.#settled) copy.#settled.set(subscription, settled);
    copy.#records = [...this.#records];
    return copy;
  }

  async commit(commit: DeliveryCommit): Promise<void> {
    return this.#commits.submit(() => {
      for (const cursor of commit.cursors)
        this.#cursors.set(keyOf(cursor.subscription, cursor.topic), cursor);
      for (const retry of commit.retries) this.#retries.set(retryKey(retry), retry);
      for (const done of commit.retriesDone) this.#retries.delete(retryKey(done));
      for (const letter of commit.deadLetters) this.#keep(letter);
      this.#records.push(...commit.records);
      if (this.#records.length > 2 * this.#recordsMax)
        this.#records = this.#records.slice(-this.#recordsMax);
    });
  }

  async cursors(subscription: string): Promise<Cursor[]> {
    return this.#ask(() => ofSubscription(this.#cursors.values(), subscription));
  }

  async retries(subscription: string): Promise<PendingRetry[]> {
    return this.#ask(() => ofSubscription(this.#retries.values(), subscription));
  }

  async forget(subscription: string): Promise<void> {
    return this.#commits.submit(() => {
      for (const [key, cursor] of this.#cursors)
        if (cursor.subscription === subscription) this.#cursors.delete(key);
      for (const [key, retry] of this.#retries)
        if (retry.subscription === subscription) this.#retries.delete(key);
      this.#records = this.#records.filter((record) => record.subscription !== subscription);
    });
  }

  async deadLetters(query: DeadLetterQuery): Promise<DeadLetter[]> {
    return this.#ask(() => {
      const after = query.after === undefined ? 0 : (this.#ages.get(query.after) ?? 0);
      const wanted = [...this.#deadLetters.values()].filter(
        (letter) =>
          (this.#ages.get(letter.id) ?? 0) > after &&
          (query.subscription === undefined || letter.subscription === query.subscription) &&
          (query.topic === undefined || letter.topic === query.topic),
      );
      return wanted.slice(0, query.limit);
    });
  }

  async deadLetterGroups(): Promise<DeadLetterGroup[]> {
    return this.#ask(() => {
      const groups = new Map<string, DeadLetterGroup>();
      for (const { subscription, reason, atMs } of this.#deadLetters.values()) {
        const key = keyOf(subscription, reason);
        const known = groups.get(key);
        const oldestMs = Math.min(known?.oldestMs ?? atMs, atMs);
        groups.set(key, { subscription, reason, count: (known?.count ?? 0) + 1, oldestMs });
      }
      return [...groups.values()];
    });
  }

  async settleDeadLetters(
    ids: readonly string[],
    outcome: "redriven" | "discarded",
  ): Promise<number> {
    return this.#commits.submit(() => {
      let settled = 0;
      for (const id of ids) {
        const letter = this.#deadLetters.get(id);
        if (!letter) continue;
        this.#deadLetters.delete(id);
        this.#countSettled(letter.subscription, outcome);
        settled += 1;
      }
      return settled;
    });
  }

  async records(topic: string, position: string): Promise<DeliveryRecord[]> {
    return this.#ask(() =>
      this.#records.filter((record) => record.topic === topic && record.position === position),
    );
  }

  async settledDeadLetters(): Promise<SettledDeadLetters[]> {
    return this.#ask(() => [...this.#settled.values()]);
  }

  #keep(letter: DeadLetter): void {
    // A commit whose answer was lost is made again: the same dead letter is one, even when it was settled meanwhile.
    if (this.#ages.has(letter.id)) return;
    this.#ages.set(letter.id, this.#ages.size + 1);
    this.#deadLetters.set(letter.id, letter);
  }

  #countSettled(subscription: string, outcome: "redriven" | "discarded"): void {
    const known = this.#settled.get(subscription) ?? { subscription, redriven: 0, discarded: 0 };
    this.#settled.set(subscription, { ...known, [outcome]: known[outcome] + 1 });
  }

  #ask<Answer>(question: () => Answer): Promise<Answer> {
    return new Promise((resolve) => {
      this.#commits.assertOpen();
      resolve(question());
    });
  }
}

function ofSubscription<Item extends { readonly subscription: string }>(
  items: Iterable<Item>,
  subscription: string,
): Item[] {
  return [...items].filter((item) => item.subscription === subscription);
}

function keyOf(first: string, second: string): string {
  return `${first}\n${second}`;
}

function retryKey(of: Pick<PendingRetry, "subscription" | "topic" | "position">): string {
  return `${of.subscription}\n${of.topic}\n${of.position}`;
}
