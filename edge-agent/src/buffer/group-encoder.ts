import { BlockWriter, classRank, eventClasses } from "@fleetmesh/core";
import { blockTopicsText, type TopicWeight } from "./block-topics.ts";
import type { AppendItem } from "./buffer.ts";
import type { EncodedBlock } from "./buffer-messages.ts";

/**
 * Large enough that a row's cost vanishes, small enough that reading a part of a block is not much waste: about what the
 * uplink sends at once.
 */
const blockBytes = 128 * 1024;
const blockCountMax = 1_024;

/** Encodes appends to blocks, one open block for each class. When it has finished, it can be used again. */
export class GroupEncoder {
  readonly #open = eventClasses.map((eventClass) => new OpenBlock(classRank(eventClass)));
  readonly #done: EncodedBlock[] = [];
  #doneBytes = 0;

  get byteCount(): number {
    let sum = this.#doneBytes;
    for (const block of this.#open) sum += block.byteCount;
    return sum;
  }

  add(items: readonly AppendItem[]): void {
    for (const item of items) {
      const block = this.#open[classRank(item.eventClass)];
      if (!block) throw new RangeError(`There is no class ${item.eventClass}`);
      block.add(item);
      if (block.byteCount >= blockBytes || block.count >= blockCountMax) this.#close(block);
    }
  }

  finish(): EncodedBlock[] {
    for (const block of this.#open) if (block.count > 0) this.#close(block);
    this.#doneBytes = 0;
    return this.#done.splice(0);
  }

  #close(block: OpenBlock): void {
    const finished = block.finish();
    this.#doneBytes += finished.body.length;
    this.#done.push(finished);
  }
}

class OpenBlock {
  readonly #rank: number;
  #writer = new BlockWriter();
  #receivedMin = Infinity;
  #receivedMax = -Infinity;
  #expires: number[] | undefined;
  readonly #topics = new Map<string, TopicWeight>();
  #topic = "";
  #topicCount = 0;
  /** Bytes of the block before the run of this topic began. */
  #topicFrom = 0;

  constructor(rank: number) {
    this.#rank = rank;
  }

  get count(): number {
    return this.#writer.count;
  }

  get byteCount(): number {
    return this.count === 0 ? 0 : this.#writer.byteCount;
  }

  add({ entry, expiresMs }: AppendItem): void {
    const { topic, receivedMs, event } = entry;
    const index = this.count;
    // The thread gives the numbers: a failed commit then leaves no hole, and nothing needs encoding again.
    if (topic !== this.#topic) this.#countTopic(topic);
    this.#topicCount += 1;
    this.#writer.add({ topic, receivedMs, event, sequence: 0 });
    if (receivedMs < this.#receivedMin) this.#receivedMin = receivedMs;
    if (receivedMs > this.#receivedMax) this.#receivedMax = receivedMs;
    if (expiresMs !== undefined) this.#expires ??= new Array<number>(index).fill(Infinity);
    this.#expires?.push(expiresMs ?? Infinity);
  }

  finish(): EncodedBlock {
    this.#countTopic("");
    const expires = this.#expires ? Float64Array.from(this.#expires) : undefined;
    const expiresMax = expires ? Math.max(...expires) : Infinity;
    const block: EncodedBlock = {
      rank: this.#rank,
      count: this.count,
      receivedMin: this.#receivedMin,
      receivedMax: this.#receivedMax,
      expiresMax: expiresMax === Infinity ? undefined : expiresMax,
      expires,
      topics: blockTopicsText(this.#topics),
      body: this.#writer.finish(),
    };
    // The memory that a large event took is not kept for the small ones to come.
    if (block.body.length > 2 * blockBytes) this.#writer = new BlockWriter();
    this.#receivedMin = Infinity;
    this.#receivedMax = -Infinity;
    this.#expires = undefined;
    this.#topics.clear();
    this.#topicFrom = 0;
    return block;
  }

  /** Runs of one topic are the rule: the map is touched when the topic changes only. */
  #countTopic(next: string): void {
    const { byteCount } = this;
    if (this.#topicCount > 0) {
      const weight = this.#topics.get(this.#topic) ?? { events: 0, bytes: 0 };
      weight.events += this.#topicCount;
      weight.bytes += byteCount - this.#topicFrom;
      this.#topics.set(this.#topic, weight);
    }
    this.#topic = next;
    this.#topicCount = 0;
    this.#topicFrom = byteCount;
  }
}
