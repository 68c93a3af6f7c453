import type { MeshEvent } from "@fleetmesh/core";
import type { Attempt } from "../store/delivery-store.ts";
import type { Position, StoredEvent } from "../store/event-store.ts";
import type { Delivery, DeliveryOutcome } from "../target/target.ts";
import type { Tracked } from "./cursor-tracker.ts";
import type { Feed } from "./feed.ts";
import type { TakenNumber } from "./group-progress.ts";
import type { Lane } from "./lanes.ts";

/** Whoever is told how a delivery ended. */
export interface ItemOwner {
  readonly subscriptionId: string;
  readonly timeoutMs: number;
  ended(item: DeliveryItem, outcome: DeliveryOutcome): void;
}

/** Where an event lies in its topic. */
export interface Place {
  readonly before: Position;
  readonly index: number;
}

const noAttempts: readonly Attempt[] = [];
/** What an event weighs in memory beside its data and attributes. Bytes, a generous guess. */
const overheadBytes = 400;

/** One event in the hands of one subscription. It is its own delivery: nothing else is made per attempt. */
export class DeliveryItem implements Delivery, Tracked {
  readonly feed: Feed | undefined;
  readonly before: Position;
  readonly position: Position;
  readonly index: number;
  readonly topic: string;
  readonly key: string;
  readonly isRedriven: boolean;
  readonly byteCount: number;
  /** In the progress of the feed's group; kept while it is parked. */
  readonly taken: TakenNumber | undefined;
  isSettled = false;
  lane: Lane | undefined;
  /** The next event of the same key. */
  next: DeliveryItem | undefined;
  attempts: readonly Attempt[] = noAttempts;
  attemptStartMs = 0;
  /** Called when a redriven event is over; it has no feed. */
  onRedriven: ((outcome: DeliveryOutcome) => void) | undefined;
  readonly #owner: ItemOwner;
  #stored: StoredEvent | undefined;

  constructor(
    owner: ItemOwner,
    stored: StoredEvent,
    at: { feed?: Feed; place: Place; key: string; taken?: TakenNumber | undefined },
  ) {
    this.#owner = owner;
    this.#stored = stored;
    this.feed = at.feed;
    this.before = at.place.before;
    this.index = at.place.index;
    this.key = at.key;
    this.position = stored.position;
    this.topic = stored.topic;
    this.isRedriven = at.feed === undefined;
    this.taken = at.taken;
    this.byteCount = overheadBytes + (stored.entry.event.data?.length ?? 0);
  }

  get subscription(): string {
    return this.#owner.subscriptionId;
  }

  get timeoutMs(): number {
    return this.#owner.timeoutMs;
  }

  /** The event, unless it is parked by position only. */
  get stored(): StoredEvent | undefined {
    return this.#stored;
  }

  get event(): MeshEvent {
    if (!this.#stored) throw new Error("A parked event is loaded before it is delivered");
    return this.#stored.entry.event;
  }

  park(): void {
    this.#stored = undefined;
  }

  load(stored: StoredEvent): void {
    this.#stored = stored;
  }

  settle(outcome: DeliveryOutcome): void {
    this.#owner.ended(this, outcome);
  }
}
