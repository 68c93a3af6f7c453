import type { BlockEntry } from "@fleetmesh/core";
import type { Origin } from "../event-store.ts";
import type { PageCollector } from "../shared/page-collector.ts";

export interface CachedBlock {
  readonly topic: string;
  readonly first: number;
  readonly entries: readonly BlockEntry[];
  readonly originOf: (index: number) => Origin;
  readonly bytes: number;
}

/** What an event costs as objects, beside its bytes; about. */
const objectBytes = 512;

/**
 * The newest events of all topics as they came in, for readers that keep up: they cost no SQLite read and no decoding.
 * Bounded by bytes over all topics; the oldest block goes first.
 */
export class TailCache {
  readonly #bytesMax: number;
  readonly #topics = new Map<string, CachedBlock[]>();
  #order: CachedBlock[] = [];
  #head = 0;
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get bytes(): number {
    return this.#bytes;
  }

  add(block: CachedBlock): void {
    const blocks = this.#topics.get(block.topic);
    const last = blocks?.at(-1);
    // A tail with a hole would answer wrongly: what is before the hole is forgotten.
    const isNext = last === undefined || last.first + last.entries.length === block.first;
    if (blocks && isNext) blocks.push(block);
    else this.#topics.set(block.topic, [block]);
    this.#order.push(block);
    this.#bytes += weight(block);
    while (this.#bytes > this.#bytesMax) this.#dropOldest();
  }

  /** Fills the page from the event behind `after` on; false when that is not in the cache. */
  read(topic: string, after: number, page: PageCollector): boolean {
    const blocks = this.#topics.get(topic);
    const oldest = blocks?.[0];
    if (!blocks || !oldest || after + 1 < oldest.first) return false;
    for (let at = blockOf(blocks, after + 1); at < blocks.length; at += 1) {
      const block = blocks[at] as CachedBlock;
      const from = Math.max(0, after + 1 - block.first);
      for (let index = from; index < block.entries.length; index += 1) {
        const entry = block.entries[index] as BlockEntry;
        if (!page.add(block.first + index, entry, block.originOf(index))) return true;
      }
    }
    return true;
  }

  clear(): void {
    this.#topics.clear();
    this.#order = [];
    this.#head = 0;
    this.#bytes = 0;
  }

  #dropOldest(): void {
    const block = this.#order[this.#head] as CachedBlock;
    this.#head += 1;
    this.#bytes -= weight(block);
    const blocks = this.#topics.get(block.topic);
    if (blocks?.[0] === block) blocks.shift();
    if (this.#head > 1024 && this.#head * 2 > this.#order.length) {
      this.#order = this.#order.slice(this.#head);
      this.#head = 0;
    }
  }
}

function weight(block: CachedBlock): number {
  return block.bytes + objectBytes * block.entries.length;
}

/** Index of the block that holds the ordinal, by halving; blocks are consecutive. */
function blockOf(blocks: readonly CachedBlock[], ordinal: number): number {
  let low = 0;
  let high = blocks.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    const block = blocks[middle] as CachedBlock;
    if (block.first + block.entries.length <= ordinal) low = middle + 1;
    else high = middle;
  }
  return low;
}
