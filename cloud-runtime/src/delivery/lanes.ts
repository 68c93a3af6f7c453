import type { DeliveryItem } from "./delivery-item.ts";
import { Fifo } from "./fifo.ts";

/** The events of one key: the head may be sent, the others wait for it in order. */
export interface Lane {
  readonly key: string;
  tail: DeliveryItem;
  state: "flowing" | "failing";
}

/**
 * Order per key: at most one event of a key is ready or in flight. Behind a failing head only positions are kept, so that a
 * key that fails for hours costs a few bytes an event. Unordered subscriptions and redriven events have no lane.
 */
export class Lanes {
  readonly #isOrdered: boolean;
  readonly #lanes = new Map<string, Lane>();
  readonly #ready = new Fifo<DeliveryItem>();
  #byteCount = 0;

  constructor(isOrdered: boolean) {
    this.#isOrdered = isOrdered;
  }

  /** Of the events held in memory, parked ones excluded. */
  get byteCount(): number {
    return this.#byteCount;
  }

  get readyCount(): number {
    return this.#ready.count;
  }

  /** True when nothing of its key is before it: its turn has come, and the caller makes it ready. */
  add(item: DeliveryItem): boolean {
    this.#byteCount += item.byteCount;
    if (!this.#isOrdered || item.isRedriven) return true;
    const lane = this.#lanes.get(item.key);
    if (!lane) {
      item.lane = { key: item.key, tail: item, state: "flowing" };
      this.#lanes.set(item.key, item.lane);
      return true;
    }
    item.lane = lane;
    lane.tail.next = item;
    lane.tail = item;
    if (lane.state === "failing") this.#park(item);
    return false;
  }

  /** An event that may be sent now. */
  takeReady(): DeliveryItem | undefined {
    return this.#ready.take();
  }

  /** Its turn has come, or comes again. */
  makeReady(item: DeliveryItem): void {
    this.#ready.push(item);
  }

  /** The head failed and will be tried again: what is behind it is kept by position only. */
  hold(item: DeliveryItem): void {
    const lane = item.lane;
    if (!lane || lane.state === "failing") return;
    lane.state = "failing";
    for (let later = item.next; later; later = later.next) this.#park(later);
  }

  loaded(item: DeliveryItem): void {
    this.#byteCount += item.byteCount;
  }

  /** The event is settled: the next of its key may go. */
  release(item: DeliveryItem): void {
    if (item.stored) this.#byteCount -= item.byteCount;
    item.park();
    const lane = item.lane;
    if (!lane) return;
    lane.state = "flowing";
    if (item.next) {
      this.#ready.push(item.next);
    } else {
      this.#lanes.delete(lane.key);
    }
  }

  #park(item: DeliveryItem): void {
    if (!item.stored) return;
    this.#byteCount -= item.byteCount;
    item.park();
  }
}
