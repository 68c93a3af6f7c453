/** How list items lie in a record of the state. */
export interface ItemCodec<Item> {
  readonly encode: (items: readonly Item[]) => Uint8Array;
  readonly decode: (value: Uint8Array) => Item[];
}

export interface ChunkedListOptions<Item> {
  readonly codec: ItemCodec<Item>;
  readonly chunkSize: number;
  /** The record of this chunk is not what the state has any more. */
  readonly onChanged: (chunk: number) => void;
}

interface Restored<Item> {
  readonly first: number;
  readonly items: Item[];
}

/**
 * A list that grows at its end and is dropped from its head, kept in the state in chunks of so many items: a change writes one
 * chunk, not the list. Items are numbered for ever, so that a chunk always holds the same ones. An empty list that is restored
 * begins at the number given, or its chunks would take the places of those that are on their way out.
 */
export class ChunkedList<Item> {
  readonly #options: ChunkedListOptions<Item>;
  readonly #restored = new Map<number, Restored<Item>>();
  #items: Item[] = [];
  #first = 0;

  constructor(options: ChunkedListOptions<Item>) {
    this.#options = options;
  }

  get items(): readonly Item[] {
    return this.#items;
  }

  /** The number of the next item. */
  get next(): number {
    return this.#first + this.#items.length;
  }

  push(item: Item): void {
    this.#items.push(item);
    this.touchLast();
  }

  /** The last item was changed in place. */
  touchLast(): void {
    const last = this.#first + this.#items.length - 1;
    this.#options.onChanged(Math.floor(last / this.#options.chunkSize));
  }

  /** Lets go of the oldest items. */
  drop(count: number): void {
    if (count <= 0) return;
    const chunkOf = (number: number): number => Math.floor(number / this.#options.chunkSize);
    const before = chunkOf(this.#first);
    this.#items = this.#items.slice(count);
    this.#first += count;
    for (let chunk = before; chunk <= chunkOf(this.#first); chunk += 1)
      this.#options.onChanged(chunk);
  }

  /** The record of a chunk; undefined when none of it is kept. */
  encode(chunk: number): Uint8Array | undefined {
    const { chunkSize, codec } = this.#options;
    const from = Math.max(this.#first, chunk * chunkSize);
    const to = Math.min(this.#first + this.#items.length, (chunk + 1) * chunkSize);
    if (from >= to) return undefined;
    const head = Buffer.alloc(8);
    head.writeDoubleLE(from);
    const items = this.#items.slice(from - this.#first, to - this.#first);
    return Buffer.concat([head, codec.encode(items)]);
  }

  /** What the state has of a chunk, in any order; `finishRestore` puts them together. */
  restore(chunk: number, value: Uint8Array | undefined): void {
    this.#restored.delete(chunk);
    if (!value) return;
    const first = new DataView(value.buffer, value.byteOffset).getFloat64(0, true);
    this.#restored.set(chunk, { first, items: this.#options.codec.decode(value.subarray(8)) });
  }

  finishRestore(next: number): void {
    const chunks = [...this.#restored.values()].sort((left, right) => left.first - right.first);
    this.#restored.clear();
    this.#first = chunks[0]?.first ?? next;
    this.#items = chunks.flatMap(({ items }) => items);
  }
}
