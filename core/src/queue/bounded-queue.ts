/** What a full queue does with one more item: make the giver wait, or say no. */
export type WhenFull = "block" | "reject";

export interface BoundedQueueOptions {
  readonly countMax: number;
  /** In the unit that `weigh` counts, usually bytes. */
  readonly weightMax: number;
  readonly whenFull: WhenFull;
}

/**
 * First in, first out, bounded by count and weight. One item over the weight bound is let in when the queue is empty,
 * so that nothing that a door accepted can be too large to move. `push` returns false when rejected or closed.
 */
export class BoundedQueue<Item> {
  readonly #options: BoundedQueueOptions;
  readonly #weigh: (item: Item) => number;
  #items: Item[] = [];
  #head = 0;
  #weight = 0;
  #isClosed = false;
  #takers: (() => void)[] = [];
  #givers: (() => void)[] = [];

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

  async push(item: Item): Promise<boolean> {
    while (!this.tryPush(item)) {
      if (this.#isClosed || this.#options.whenFull === "reject") return false;
      await new Promise<void>((resolve) => this.#givers.push(resolve));
    }
    return true;
  }

  tryPush(item: Item): boolean {
    const weight = this.#weigh(item);
    if (this.#isClosed || !this.#hasRoom(weight)) return false;
    this.#items.push(item);
    this.#weight += weight;
    this.#takers.shift()?.();
    return true;
  }

  /** The next item now, or undefined when there is none. */
  tryTake(): Item | undefined {
    if (this.count === 0) return undefined;
    const item = this.#items[this.#head] as Item;
    this.#head += 1;
    this.#weight -= this.#weigh(item);
    if (this.#head > 1024 && this.#head * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    this.#givers.shift()?.();
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

  /** Nothing more comes in; what is in can still be taken. */
  close(): void {
    this.#isClosed = true;
    for (const wake of [...this.#takers.splice(0), ...this.#givers.splice(0)]) wake();
  }

  #hasRoom(weight: number): boolean {
    if (this.count === 0) return true;
    return this.count < this.#options.countMax && this.#weight + weight <= this.#options.weightMax;
  }
}
