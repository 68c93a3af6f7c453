import { keyOf, MeshError, sleep, type Clock } from "@fleetmesh/core";
import type { Matchable } from "../filter/matcher.ts";
import type { SubscriptionFilter } from "../filter/subscription-filter.ts";
import type { Cursor } from "../store/delivery-store.ts";
import type { EventStore, Page, Position, StoredEvent } from "../store/event-store.ts";
import type { GroupPlace } from "../store/shared/group-place.ts";
import type { CursorTracker, Settlement, Tracked } from "./cursor-tracker.ts";
import { DeliveryItem, type ItemOwner, type Place } from "./delivery-item.ts";
import type { GroupProgress } from "./group-progress.ts";
import type { ReadTurns } from "./read-turns.ts";
import { readLimit, type TopicReader } from "./topic-reader.ts";
import { findTrimmed } from "./trimmed-range.ts";

/** Who takes what a feed reads. */
export interface FeedOwner extends ItemOwner {
  readonly filter: SubscriptionFilter;
  hasRoom(feed: Feed): boolean;
  /** So much can be sent already that a feed which reads by itself had better wait: see `becameFull`. */
  readonly isSated: boolean;
  /** The feed stopped reading until `roomMade`. */
  becameFull(feed: Feed): void;
  accept(item: DeliveryItem): void;
  /** The feed's counts changed without a delivery. */
  settledApart(feed: Feed): void;
  /** Reading failed for a reason that people should see. */
  readingFailed(error: MeshError): void;
}

export interface FeedOptions {
  readonly owner: FeedOwner;
  readonly tracker: CursorTracker;
  readonly reader: TopicReader;
  readonly store: EventStore;
  readonly clock: Clock;
  /** Bounds how many feeds read at once. */
  readonly turns: ReadTurns;
  /** Of a group that comes from another region, or may go on in one. */
  readonly group?: FeedGroup | undefined;
}

export interface FeedGroup {
  readonly progress: GroupProgress;
  /** Other regions are told. */
  readonly isTold: boolean;
}

/**
 * `catching-up` reads by itself; `waiting` is ahead of the shared reader; `joined` is served by it; `full` waits for room in
 * its subscription.
 */
export type FeedState = "new" | "catching-up" | "waiting" | "joined" | "full" | "stopped";

const failedReadMs = 250;
const damagedReadMs = 5_000;

/** One subscription's way through one topic: its place, and how events come to it. */
export class Feed implements Matchable {
  readonly topic: string;
  readonly #options: FeedOptions;
  readonly #stopping = new AbortController();
  #state: FeedState = "new";
  #reading: Promise<void> | undefined;

  constructor(options: FeedOptions) {
    this.#options = options;
    this.topic = options.reader.topic;
  }

  get state(): FeedState {
    return this.#state;
  }

  get filter(): SubscriptionFilter {
    return this.#options.owner.filter;
  }

  get index(): number {
    return this.#state === "joined" ? this.#options.reader.index : this.#options.tracker.index;
  }

  get position(): Position {
    return this.#state === "joined"
      ? this.#options.reader.position
      : this.#options.tracker.position;
  }

  get inHandCount(): number {
    return this.#options.tracker.inHandCount;
  }

  get oldest(): Tracked | undefined {
    return this.#options.tracker.oldest;
  }

  get tracker(): CursorTracker {
    this.#sync();
    return this.#options.tracker;
  }

  get subscriptionId(): string {
    return this.#options.owner.subscriptionId;
  }

  /** Where its group is, if other regions are to be told and have not been. */
  takePlace(atMs: number): GroupPlace | undefined {
    const { group } = this.#options;
    return group?.isTold === true ? group.progress.takePlace(atMs) : undefined;
  }

  putPlaceBack(): void {
    this.#options.group?.progress.putBack();
  }

  /** It wants to see every event, not only those that match. */
  get seesAll(): boolean {
    return this.#options.group?.isTold === true;
  }

  see(stored: StoredEvent): void {
    this.#options.group?.progress.read(stored);
  }

  cursor(): Cursor {
    return this.tracker.cursor();
  }

  settle(item: DeliveryItem, settlement: Settlement): void {
    this.#options.tracker.settle(item, settlement);
    if (item.taken) this.#options.group?.progress.settle(item.taken);
  }

  /** Begins, or goes on after it was full or behind. */
  readOn(): void {
    if (this.#state === "stopped" || this.#state === "joined") return;
    this.#state = "catching-up";
    this.#reading ??= this.#catchUp().finally(() => {
      this.#reading = undefined;
      if (this.#state === "catching-up") this.readOn();
    });
  }

  /** There is room again in the subscription. */
  roomMade(): void {
    if (this.#state === "full") this.readOn();
  }

  /** The shared reader cannot read on; each feed finds out why by itself. */
  sentAway(): void {
    this.#sync();
    this.#state = "catching-up";
    this.#options.reader.leave(this);
    this.readOn();
  }

  /** An event that matched, from the shared reader. False = no room: nothing was taken. */
  take(stored: StoredEvent, place: Place): boolean {
    const { owner, tracker, group } = this.#options;
    if (group?.progress.hasPassed(stored) === true) return true;
    const taken = group?.progress.take(stored);
    if (!owner.hasRoom(this)) return false;
    const item = new DeliveryItem(owner, stored, {
      ...{ feed: this, place, taken },
      key: `${this.topic}\0${keyOf(stored.entry.event)}`,
    });
    tracker.take(item);
    owner.accept(item);
    return true;
  }

  /** It had no room for the event at this place and leaves the shared reader there. */
  leftAt(place: Place): void {
    this.#options.tracker.advance(place.before, place.index);
    this.#options.reader.leave(this);
    this.#becomeFull();
  }

  /** Stored events that do not read back: settled as such where they stand, so that what waits before them is not passed. */
  #passDamaged(positions: readonly Position[]): void {
    const { tracker, owner } = this.#options;
    for (const position of positions) {
      const event = {
        ...{ before: tracker.position, position },
        ...{ index: tracker.index, isSettled: false },
      };
      if (!tracker.passRestored(event)) {
        tracker.take(event);
        tracker.settle(event, "damaged");
      }
      tracker.advance(position, event.index + 1);
    }
    owner.settledApart(this);
  }

  /** Events in order from its place on, filtered here. False when it is full; its place is then before the first not taken. */
  consumeAll(events: readonly StoredEvent[]): boolean {
    for (const stored of events) if (!this.#consume(stored)) return false;
    return true;
  }

  async stop(): Promise<void> {
    this.#sync();
    this.#state = "stopped";
    this.#stopping.abort();
    this.#options.reader.leave(this);
    await this.#reading;
  }

  /** While joined its place is the shared reader's. */
  #sync(): void {
    const { reader, tracker } = this.#options;
    if (this.#state === "joined") tracker.advance(reader.position, reader.index);
  }

  #consume(stored: StoredEvent): boolean {
    const { tracker } = this.#options;
    const { position } = stored;
    const place = { before: tracker.position, index: tracker.index };
    this.see(stored);
    const isPassed =
      tracker.restoredCount > 0 && tracker.passRestored({ ...place, position, isSettled: false });
    const isTaken =
      isPassed || !this.filter.matches(stored.entry.event) || this.take(stored, place);
    if (isTaken) tracker.advance(position, place.index + 1);
    return isTaken;
  }

  async #catchUp(): Promise<void> {
    const { owner } = this.#options;
    while (this.#isCatchingUp()) {
      if (owner.isSated || !owner.hasRoom(this)) {
        this.#becomeFull();
        return;
      }
      const page = await this.#read();
      if (!page || !this.#isCatchingUp()) continue;
      if (page.damaged) {
        this.#passDamaged(page.damaged);
        continue;
      }
      if (!this.consumeAll(page.events)) {
        this.#becomeFull();
        return;
      }
      this.#join(page.events.length === 0);
    }
  }

  /** A method, because the state changes while others are awaited. */
  #isCatchingUp(): boolean {
    return this.#state === "catching-up";
  }

  #becomeFull(): void {
    this.#state = "full";
    this.#options.owner.becameFull(this);
  }

  #join(isAtHead: boolean): void {
    const { reader, tracker } = this.#options;
    // What was settled ahead of a restart is passed over here, never in the shared reader.
    if (tracker.restoredCount > 0 && !isAtHead) return;
    const answer = reader.join(this, isAtHead);
    if (this.#state !== "catching-up") return;
    if (answer === "joined") this.#state = "joined";
    if (answer === "waiting") this.#state = "waiting";
  }

  async #read(): Promise<Page | undefined> {
    const { store, tracker, turns } = this.#options;
    try {
      return await turns.run(() => store.read(this.topic, tracker.position, readLimit));
    } catch (thrown) {
      const error = MeshError.from(thrown);
      if (MeshError.is(error, "POSITION_TRIMMED")) await this.#skipTrimmed();
      else await this.#waitAfter(error);
      return undefined;
    }
  }

  async #waitAfter(error: MeshError): Promise<void> {
    const isPassing = error.kind === "STORE_UNAVAILABLE" || error.kind === "STOPPING";
    if (!isPassing) this.#options.owner.readingFailed(error);
    const waitMs = isPassing ? failedReadMs : damagedReadMs;
    await sleep(this.#options.clock, waitMs, this.#stopping.signal);
  }

  /** Retention was faster than the subscription: it goes on at the earliest event, and what it missed is counted exactly. */
  async #skipTrimmed(): Promise<void> {
    const { store, tracker } = this.#options;
    // What is in hand lies before the trimmed range and settles first, so that the counts stay those of one prefix.
    if (tracker.inHandCount > 0) {
      await sleep(this.#options.clock, failedReadMs, this.#stopping.signal);
      return;
    }
    try {
      const range = await findTrimmed(store, this.topic, tracker.restored);
      if (this.#state !== "catching-up" || range.to.index <= tracker.index) return;
      tracker.skipTrimmed(range.to, range.restoredLost);
      this.#options.owner.settledApart(this);
    } catch (thrown) {
      await this.#waitAfter(MeshError.from(thrown));
    }
  }
}
