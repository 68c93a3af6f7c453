/** What a full queue does with one more item: make the giver wait, or say no. */
export type WhenFull = "block" | "reject";

export interface BoundedQueueOptions {
  readonly countMax: number;
  /** In the unit that `weigh` counts, usually bytes. */
  readonly weightMax: number;
  readonly whenFull: WhenFull;
}

interface Giver<Item> {
  readonly item: Item;
  readonly weight: number;
  readonly resolve: (isIn: boolean) => void;
}

/**
 * First in, first out, bounded by count and weight. One item over the weight bound is let in when the queue is empty,
 * so that nothing that a door accepted can be too large to move. `push` returns false when rejected or closed.
 * Who waits to give keeps the place of the call: nobody overtakes, however small the item.
 */
export class BoundedQueue<Item> {
  readonly #options: BoundedQueueOptions;
  readonly #weigh: (item: Item) => number;
  #items: (Item | undefined)[] = [];
  #head = 0;
  #weight = 0;
  #isClosed = false;
  readonly #takers: (() => void)[] = [];
  readonly #givers: Giver<Item>[] = [];

  constructor(options: BoundedQueueOptions, weigh: (item: Item) => number = () => 1) {
    this.#options = options;
    this.#weigh = weigh;
  }

  get count(): number {
    return this.#items.length - this.#head;
  }

  get weight(): number {
    return this.#weight;
  }

  push(item: Item): Promise<boolean> {
    if (this.tryPush(item)) return Promise.resolve(true);
    if (this.#isClosed || this.#options.whenFull === "reject") return Promise.resolve(false);
    const weight = this.#weigh(item);
    return new Promise((resolve) => this.#givers.push({ item, weight, resolve }));
  }

  /** False when there is no room, when others wait to give, or after `close`. */
  tryPush(item: Item): boolean {
    const weight = this.#weigh(item);
    if (this.#isClosed || this.#givers.length > 0 || !this.#hasRoom(weight)) return false;
    this.#add(item, weight);
    return true;
  }

  /** The next item now, or undefined when there is none. */
  tryTake(): Item | undefined {
    if (this.count === 0) return undefined;
    const item = this.#items[this.#head] as Item;
    // What was taken must not be kept alive by its old place.
    this.#items[this.#head] = undefined;
    this.#head += 1;
    this.#weight -= this.#weigh(item);
    if (this.#head > 1024 && this.#head * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    this.#admit();
    return item;
  }

  /** The next item, waiting for one; undefined when the queue is closed and empty. */
  async take(): Promise<Item | undefined> {
    for (;;) {
      const item = this.tryTake();
      if (item !== undefined || (this.#isClosed && this.count === 0)) return item;
      await new Promise<void>((resolve) => this.#takers.push(resolve));
    }
  }

  /** Nothing more comes in, also not from those who wait; what is in can still be taken. */
  close(): void {
    this.#isClosed = true;
    for (const giver of this.#givers.splice(0)) giver.resolve(false);
    for (const wake of this.#takers.splice(0)) wake();
  }

  #admit(): void {
    for (let next = this.#givers[0]; next && this.#hasRoom(next.weight); next = this.#givers[0]) {
      this.#givers.shift();
      this.#add(next.item, next.weight);
      next.resolve(true);
    }
  }

  #add(item: Item, weight: number): void {
    this.#items.push(item);
    this.#weight += weight;
    this.#takers.shift()?.();
  }

  #hasRoom(weight: number): boolean {
    if (this.count === 0) return true;
    return this.count < this.#options.countMax && this.#weight + weight <= this.#options.weightMax;
  }
}
