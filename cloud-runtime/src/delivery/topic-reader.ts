import { MeshError, sleep, type Clock } from "@fleetmesh/core";
import { Matcher } from "../filter/matcher.ts";
import type { EventStore, Page, Position, ReadLimit, StoredEvent } from "../store/event-store.ts";
import type { Feed } from "./feed.ts";

interface RingPage {
  readonly before: Position;
  readonly firstIndex: number;
  readonly events: readonly StoredEvent[];
}

export const readLimit: ReadLimit = { countMax: 500, bytesMax: 1024 * 1024 };
const ringPageCountMax = 3;
const storeRetryMs = 250;

/** `joined`: it is served from here on. `waiting`: it is ahead of the reader and joins by itself. `behind`: it must read on. */
export type JoinAnswer = "joined" | "waiting" | "behind";

/**
 * Reads a topic once for all feeds near its head and hands each event to those that match. A feed that cannot take one leaves
 * and catches up by itself; the last pages are kept, so that it can come back between two reads. Never waits for a feed.
 */
export class TopicReader {
  readonly topic: string;
  readonly #store: EventStore;
  readonly #clock: Clock;
  readonly #members = new Matcher<Feed>();
  readonly #waiting = new Set<Feed>();
  /** Of the members, those that see every event. */
  readonly #seeing = new Set<Feed>();
  readonly #stopping = new AbortController();
  #ring: RingPage[] = [];
  #position: Position = "earliest";
  #index = 0;
  #hasGrown = false;
  #running: Promise<void> | undefined;
  readonly #matched: Feed[] = [];

  constructor(topic: string, store: EventStore, clock: Clock) {
    this.topic = topic;
    this.#store = store;
    this.#clock = clock;
  }

  get position(): Position {
    return this.#position;
  }

  get index(): number {
    return this.#index;
  }

  get members(): readonly Feed[] {
    return this.#members.members();
  }

  /** The topic has more than was read. */
  wake(): void {
    this.#hasGrown = true;
    if (this.#members.size === 0 || this.#stopping.signal.aborted) return;
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
      if (this.#hasGrown && this.#members.size > 0) this.wake();
    });
  }

  /** `isAtHead`: the feed has just seen that nothing follows its place. */
  join(feed: Feed, isAtHead: boolean): JoinAnswer {
    if (this.#members.size === 0 && isAtHead) this.#seat(feed);
    if (feed.index > this.#index) {
      if (this.#members.size === 0) return "behind";
      this.#waiting.add(feed);
      this.wake();
      return "waiting";
    }
    if (feed.index < this.#index && !this.#replay(feed)) return "behind";
    this.#members.add(feed);
    if (feed.seesAll) this.#seeing.add(feed);
    // Something may have been stored since the feed looked.
    this.wake();
    return "joined";
  }

  /** The feed reads by itself from here on, or not at all. */
  leave(feed: Feed): void {
    this.#waiting.delete(feed);
    this.#members.remove(feed);
    this.#seeing.delete(feed);
    if (this.#members.size > 0) return;
    for (const waiting of this.#takeWaiting()) waiting.readOn();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  #seat(feed: Feed): void {
    this.#ring = [];
    [this.#position, this.#index] = [feed.position, feed.index];
  }

  /** Gives the feed what it missed from the pages kept; false when they do not reach back far enough or it is full. */
  #replay(feed: Feed): boolean {
    for (const page of this.#ring) {
      const skip = feed.index - page.firstIndex;
      if (skip < 0) return false;
      if (skip < page.events.length && !feed.consumeAll(page.events.slice(skip))) return false;
    }
    return feed.index === this.#index;
  }

  async #run(): Promise<void> {
    while (this.#hasGrown && this.#members.size > 0 && !this.#stopping.signal.aborted) {
      this.#hasGrown = false;
      const from = this.#position;
      const page = await this.#read();
      if (page === undefined) continue;
      if (page.damaged) {
        this.#sendAllAway();
        continue;
      }
      // All members left and others came while the page was read: it is not the one that is wanted now.
      if (from !== this.#position) {
        this.#hasGrown = true;
        continue;
      }
      if (page.events.length === 0) continue;
      this.#hasGrown = true;
      this.#handOut(page.events);
    }
  }

  async #read(): Promise<Page | undefined> {
    try {
      return await this.#store.read(this.topic, this.#position, readLimit);
    } catch (error) {
      if (!MeshError.is(error, "STORE_UNAVAILABLE") && !MeshError.is(error, "STOPPING")) {
        this.#sendAllAway();
        return undefined;
      }
      this.#hasGrown = true;
      await sleep(this.#clock, storeRetryMs, this.#stopping.signal);
      return undefined;
    }
  }

  /** Trimmed or damaged: each feed finds its own way on. */
  #sendAllAway(): void {
    for (const feed of this.#members.members()) feed.sentAway();
  }

  #handOut(events: readonly StoredEvent[]): void {
    const firstIndex = this.#index;
    const first = this.#position;
    let before = first;
    events.forEach((stored, at) => {
      const place = { before, index: firstIndex + at };
      for (const feed of this.#seeing) feed.see(stored);
      this.#matched.length = 0;
      this.#members.match(stored.entry.event, this.#matched);
      for (const feed of this.#matched) if (!feed.take(stored, place)) feed.leftAt(place);
      before = stored.position;
    });
    this.#position = before;
    this.#index = firstIndex + events.length;
    this.#ring.push({ before: first, firstIndex, events });
    if (this.#ring.length > ringPageCountMax) this.#ring.shift();
    for (const feed of this.#takeWaiting()) feed.readOn();
  }

  #takeWaiting(): Feed[] {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    return waiting;
  }
}
