import { ByteReader, ByteWriter } from "@fleetmesh/core";

const numbersPerChunk = 1_024;
const wordsPerChunk = numbersPerChunk / 32;

/**
 * Which events of agents were stored here by way of other regions: by stream and sequence, in chunks of 1,024 numbers, the newest
 * chunks of all streams together. A stream's epoch is random, so that its numbers mean the same in every region. What is
 * forgotten counts as not stored: given out twice rather than not at all.
 */
export class ForeignSequences {
  readonly #countMax: number;
  readonly #onChanged: (key: string) => void;
  readonly #slots = new Map<string, number>();
  readonly #free: number[] = [];
  #next = 0;
  #words = new Uint32Array(wordsPerChunk * 16);

  constructor(countMax: number, onChanged: (key: string) => void) {
    this.#countMax = countMax;
    this.#onChanged = onChanged;
  }

  has(stream: string, sequence: number): boolean {
    const slot = this.#slots.get(chunkKey(stream, sequence));
    if (slot === undefined) return false;
    return ((this.#words[wordAt(slot, sequence)] ?? 0) & bitOf(sequence)) !== 0;
  }

  /** False when it is known already. */
  add(stream: string, sequence: number): boolean {
    const key = chunkKey(stream, sequence);
    const at = wordAt(this.#slotOf(key), sequence);
    const word = this.#words[at] ?? 0;
    if ((word & bitOf(sequence)) !== 0) return false;
    this.#words[at] = word | bitOf(sequence);
    this.#onChanged(key);
    return true;
  }

  /** Ranges within the chunk, each as the distance from the one before and its length. */
  encode(key: string): Uint8Array | undefined {
    const slot = this.#slots.get(key);
    if (slot === undefined) return undefined;
    const out = new ByteWriter(16);
    let written = 0;
    for (let at = 0; at < numbersPerChunk; at += 1) {
      if (!this.#isSet(slot, at)) continue;
      const first = at;
      while (at < numbersPerChunk && this.#isSet(slot, at)) at += 1;
      out.varint(first - written);
      out.varint(at - first);
      written = at;
    }
    return out.take();
  }

  restore(key: string, value: Uint8Array | undefined): void {
    const known = this.#slots.get(key);
    if (known !== undefined) this.#free.push(known);
    this.#slots.delete(key);
    if (!value) return;
    const slot = this.#slotOf(key);
    const input = new ByteReader(value);
    for (let at = 0; input.remaining > 0;) {
      at += input.varint();
      for (let left = input.varint(); left > 0; left -= 1, at += 1) {
        const word = wordAt(slot, at);
        this.#words[word] = (this.#words[word] ?? 0) | bitOf(at);
      }
    }
  }

  #isSet(slot: number, at: number): boolean {
    return ((this.#words[wordAt(slot, at)] ?? 0) & bitOf(at)) !== 0;
  }

  #slotOf(key: string): number {
    const found = this.#slots.get(key);
    if (found !== undefined) return found;
    const slot = this.#freeSlot();
    this.#slots.set(key, slot);
    this.#words.fill(0, slot * wordsPerChunk, (slot + 1) * wordsPerChunk);
    return slot;
  }

  /** A new one, or that of the chunk that was begun first. */
  #freeSlot(): number {
    if (this.#slots.size >= this.#countMax) {
      for (const [oldest, slot] of this.#slots) {
        this.#slots.delete(oldest);
        this.#onChanged(oldest);
        return slot;
      }
    }
    const freed = this.#free.pop();
    if (freed !== undefined) return freed;
    const slot = this.#next++;
    if ((slot + 1) * wordsPerChunk > this.#words.length) {
      const larger = new Uint32Array(this.#words.length * 2);
      larger.set(this.#words);
      this.#words = larger;
    }
    return slot;
  }
}

function chunkKey(stream: string, sequence: number): string {
  return `f/${Math.floor(sequence / numbersPerChunk)}/${stream}`;
}

function wordAt(slot: number, sequence: number): number {
  return slot * wordsPerChunk + ((sequence % numbersPerChunk) >>> 5);
}

function bitOf(sequence: number): number {
  return 1 << (sequence & 31);
}
