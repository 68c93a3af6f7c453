import { compareMessageIds, type MessageId } from "@fleetmesh/pulsar";
import type { StoredEvent } from "../event-store.ts";
import { entrySize } from "../shared/entry-size.ts";
import type { EventPage } from "./event-page.ts";

/** An event with what finding and dating it need. */
export interface PlacedEvent {
  readonly id: MessageId;
  readonly publishedMs: number;
  readonly stored: StoredEvent;
}

/** What an event costs as objects, beside its bytes; about. */
const objectBytes = 768;

/** Bytes of all tails together; the oldest event of any topic goes first. */
export class TailBudget {
  readonly #bytesMax: number;
  #order: (TopicTail | undefined)[] = [];
  #head = 0;
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  took(tail: TopicTail, bytes: number): void {
    this.#order.push(tail);
    this.#bytes += bytes;
    while (this.#bytes > this.#bytesMax && this.#head < this.#order.length) {
      const oldest = this.#order[this.#head];
      this.#order[this.#head] = undefined;
      this.#head += 1;
      this.#bytes -= oldest?.dropOldest() ?? 0;
    }
    if (this.#head <= 4_096 || this.#head * 2 <= this.#order.length) return;
    this.#order = this.#order.slice(this.#head);
    this.#head = 0;
  }
}

/** The newest events of a topic, as they were folded: everything behind `floor`. */
export class TopicTail {
  readonly #budget: TailBudget;
  #events: (PlacedEvent | undefined)[] = [];
  #head = 0;
  #floor: MessageId;

  constructor(budget: TailBudget, floor: MessageId) {
    this.#budget = budget;
    this.#floor = floor;
  }

  get floor(): MessageId {
    return this.#floor;
  }

  add(event: PlacedEvent): void {
    this.#events.push(event);
    this.#budget.took(this, bytesOf(event));
  }

  /** Fills the page from behind `after`, which must not lie before the floor. */
  fill(page: EventPage, after: MessageId): void {
    for (let at = this.#indexAfter(after); at < this.#events.length; at += 1)
      if (!page.add((this.#events[at] as PlacedEvent).stored)) return;
  }

  at(id: MessageId): PlacedEvent | undefined {
    const found = this.#events[this.#indexAfter(id) - 1];
    return found && compareMessageIds(found.id, id) === 0 ? found : undefined;
  }

  /** Gives its bytes. */
  dropOldest(): number {
    const oldest = this.#events[this.#head];
    if (!oldest) return 0;
    this.#events[this.#head] = undefined;
    this.#head += 1;
    this.#floor = oldest.id;
    if (this.#head > 1_024 && this.#head * 2 > this.#events.length) {
      this.#events = this.#events.slice(this.#head);
      this.#head = 0;
    }
    return bytesOf(oldest);
  }

  #indexAfter(id: MessageId): number {
    let [low, high] = [this.#head, this.#events.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (compareMessageIds((this.#events[middle] as PlacedEvent).id, id) <= 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function bytesOf({ stored }: PlacedEvent): number {
  return objectBytes + entrySize(stored.entry);
}
