import { identityWords } from "./repeat-identity.ts";

const countMin = 1_024;

/**
 * The identities of the last events, oldest first, in two flat arrays: a ring of words and an index into it by open
 * addressing. 32 bytes an event at most, and nothing while no event has an id: it grows with what it remembers.
 */
export class RepeatWindow {
  readonly #countMax: number;
  #words = new Uint32Array(0);
  /** Places in the ring plus one; 0 = free. A power of two, at least half of it free. */
  #index = new Uint32Array(0);
  #first = 0;
  #count = 0;

  constructor(countMax: number) {
    this.#countMax = countMax;
  }

  get count(): number {
    return this.#count;
  }

  /** The content word of the identity whose key is at `at`; undefined = its key is not known. */
  contentOf(words: Uint32Array, at: number): number | undefined {
    if (this.#count === 0) return undefined;
    const place = this.#index[this.#slotOf(words, at)] ?? 0;
    return place === 0 ? undefined : this.#words[(place - 1) * identityWords + 3];
  }

  /** Remembers an identity as the newest and forgets the oldest beyond the bound. A known key stays as it is. */
  add(words: Uint32Array, at: number): void {
    if (this.#countMax === 0 || this.contentOf(words, at) !== undefined) return;
    if (this.#count === this.#countMax) this.#forgetOldest();
    else if (this.#count === this.#capacity) this.#grow();
    const place = (this.#first + this.#count) % this.#capacity;
    for (let word = 0; word < identityWords; word += 1)
      this.#words[place * identityWords + word] = words[at + word] ?? 0;
    this.#index[this.#slotOf(words, at)] = place + 1;
    this.#count += 1;
  }

  /** All identities, oldest first. */
  words(): Uint32Array<ArrayBuffer> {
    const all = new Uint32Array(this.#count * identityWords);
    for (let age = 0; age < this.#count; age += 1) {
      const from = ((this.#first + age) % this.#capacity) * identityWords;
      all.set(this.#words.subarray(from, from + identityWords), age * identityWords);
    }
    return all;
  }

  clear(): void {
    this.#index.fill(0);
    this.#first = 0;
    this.#count = 0;
  }

  get #capacity(): number {
    return this.#words.length / identityWords;
  }

  #grow(): void {
    const known = this.words();
    const capacity = Math.min(this.#countMax, Math.max(countMin, 2 * this.#capacity));
    this.#words = new Uint32Array(capacity * identityWords);
    this.#index = new Uint32Array(2 ** Math.ceil(Math.log2(2 * capacity)));
    this.#first = 0;
    this.#count = 0;
    for (let at = 0; at < known.length; at += identityWords) this.add(known, at);
  }

  #forgetOldest(): void {
    const at = this.#first * identityWords;
    this.#free(this.#slotOf(this.#words, at));
    this.#first = (this.#first + 1) % this.#capacity;
    this.#count -= 1;
  }

  /** Closes the hole that a removal leaves, so that no search stops short. */
  #free(slot: number): void {
    const mask = this.#index.length - 1;
    let hole = slot;
    for (let next = (hole + 1) & mask; ; next = (next + 1) & mask) {
      const place = this.#index[next] ?? 0;
      if (place === 0) break;
      const home = (this.#words[(place - 1) * identityWords] ?? 0) & mask;
      if (((next - home) & mask) < ((next - hole) & mask)) continue;
      this.#index[hole] = place;
      hole = next;
    }
    this.#index[hole] = 0;
  }

  /** Where the key is, or the free slot where it would be. */
  #slotOf(words: Uint32Array, at: number): number {
    const mask = this.#index.length - 1;
    const known = this.#words;
    for (let slot = (words[at] ?? 0) & mask; ; slot = (slot + 1) & mask) {
      const place = this.#index[slot] ?? 0;
      if (place === 0) return slot;
      const from = (place - 1) * identityWords;
      if (
        known[from] === words[at] &&
        known[from + 1] === words[at + 1] &&
        known[from + 2] === words[at + 2]
      )
        return slot;
    }
  }
}
