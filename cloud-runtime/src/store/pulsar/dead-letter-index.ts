import type { DeadLetterQuery } from "../delivery-store.ts";
import {
  chunkSize,
  decodeLetters,
  LetterChunk,
  letterPrint,
  type IndexedLetter,
  type LetterName,
} from "./letter-chunk.ts";
import { LetterGroups } from "./letter-groups.ts";
import type { SettledLetters } from "./settled-letters.ts";

export interface LetterGroup {
  readonly subscription: string;
  readonly reason: string;
  readonly count: number;
  readonly oldestMs: number;
}

interface Found {
  readonly at: number;
  readonly chunk: LetterChunk;
  readonly letter: IndexedLetter;
}

/**
 * Which dead letters there are, and where: some sixty bytes of memory each, in chunks (`d`) as in the state log. Their events are in
 * the topics of dead letters.
 */
export class DeadLetterIndex {
  readonly #settled: SettledLetters;
  readonly #onChanged: (key: string) => void;
  readonly #groups = new LetterGroups();
  readonly #restored = new Map<number, Uint8Array>();
  /** In order of their numbers. */
  #chunks: LetterChunk[] = [];
  #next = 0;
  /** Letters are mostly looked for in their order. */
  #lastFound = 0;

  constructor(settled: SettledLetters, onChanged: (key: string) => void) {
    this.#settled = settled;
    this.#onChanged = onChanged;
  }

  /** True for one that was settled lately, too. */
  has(id: string): boolean {
    return this.#settled.numberOf(id) !== undefined || this.#find(id) !== undefined;
  }

  add(name: LetterName, { segment, place }: Pick<IndexedLetter, "segment" | "place">): void {
    const { id, subscription, topic, reason, atMs } = name;
    const number = this.#next;
    this.#next += 1;
    const letter = { number, id, subscription, topic, reason, atMs, segment, place };
    const last = this.#chunks.at(-1);
    const isNew = last?.number !== Math.floor(number / chunkSize);
    if (!last || isNew) this.#chunks.push(this.#chunkOf([letter]));
    else this.#replace(this.#chunks.length - 1, [...last.letters(), letter]);
    this.#onChanged(`d\n${Math.floor(number / chunkSize)}`);
  }

  /** Takes a letter out; undefined when it is not there. */
  settle(id: string): IndexedLetter | undefined {
    const found = this.#find(id);
    if (!found) return undefined;
    const { at, chunk, letter } = found;
    const left = chunk.letters().filter(({ number }) => number !== letter.number);
    if (left.length > 0) this.#replace(at, left);
    else {
      this.#drop(chunk);
      this.#chunks.splice(at, 1);
    }
    this.#onChanged(`d\n${chunk.number}`);
    return letter;
  }

  /** In order of age. */
  list(query: DeadLetterQuery): IndexedLetter[] {
    const wanted = this.#groups.matching(query);
    const from = query.after === undefined ? 0 : this.#numberOf(query.after) + 1;
    const found: IndexedLetter[] = [];
    for (const chunk of this.#chunks) {
      if (found.length >= query.limit) break;
      if (
        (chunk.number + 1) * chunkSize <= from ||
        !chunk.groups.some((group) => wanted.has(group))
      )
        continue;
      for (const letter of chunk.letters())
        if (letter.number >= from && wanted.has(chunk.groups[letter.number % chunkSize] ?? 0))
          found.push(letter);
    }
    return found.slice(0, query.limit);
  }

  groups(): LetterGroup[] {
    const groups = new Map<string, LetterGroup>();
    for (const [number, { count, oldestMs }] of this.#tally()) {
      const { subscription = "", reason = "" } = this.#groups.get(number) ?? {};
      const key = `${subscription}\n${reason}`;
      const known = groups.get(key) ?? { subscription, reason, count: 0, oldestMs };
      const oldest = Math.min(known.oldestMs, oldestMs);
      groups.set(key, { ...known, count: known.count + count, oldestMs: oldest });
    }
    return [...groups.values()];
  }

  /** How many letters lie in each topic of dead letters. */
  segments(): Map<number, number> {
    const counts = new Map<number, number>();
    for (const chunk of this.#chunks)
      for (const { segment } of chunk.letters())
        counts.set(segment, (counts.get(segment) ?? 0) + 1);
    return counts;
  }

  valueOf(key: string): Uint8Array | undefined {
    const number = Number(key.slice(2));
    const chunk = this.#chunks[this.#indexOf(number)];
    return chunk?.number === number ? chunk.value : undefined;
  }

  restore(key: string, value: Uint8Array | undefined): void {
    if (value) this.#restored.set(Number(key.slice(2)), value);
    else this.#restored.delete(Number(key.slice(2)));
  }

  finishRestore(): void {
    const numbers = [...this.#restored.keys()].sort((left, right) => left - right);
    this.#chunks = numbers.map((number) =>
      this.#chunkOf(decodeLetters(this.#restored.get(number) ?? new Uint8Array(1))),
    );
    this.#restored.clear();
    const last = this.#chunks.at(-1)?.letters().at(-1)?.number ?? -1;
    this.#next = Math.max(last, this.#settled.last) + 1;
  }

  /** -1 for one that nobody knows any more: a page after it begins at the oldest. */
  #numberOf(id: string): number {
    return this.#settled.numberOf(id) ?? this.#find(id)?.letter.number ?? -1;
  }

  #find(id: string): Found | undefined {
    const print = letterPrint(id);
    const count = this.#chunks.length;
    for (let step = 0; step < count; step += 1) {
      const at = (this.#lastFound + step) % count;
      const chunk = this.#chunks[at] as LetterChunk;
      if (!chunk.prints.includes(print)) continue;
      const letter = chunk.letters().find((each) => each.id === id);
      if (!letter) continue;
      this.#lastFound = at;
      return { at, chunk, letter };
    }
    return undefined;
  }

  /** By group: how many, and since when. */
  #tally(): Map<number, { count: number; oldestMs: number }> {
    const tally = new Map<number, { count: number; oldestMs: number }>();
    for (const { groups, atMs } of this.#chunks)
      for (const [slot, group] of groups.entries()) {
        if (group === 0) continue;
        const known = tally.get(group) ?? { count: 0, oldestMs: Infinity };
        known.count += 1;
        known.oldestMs = Math.min(known.oldestMs, atMs[slot] ?? Infinity);
        tally.set(group, known);
      }
    return tally;
  }

  #chunkOf(letters: readonly IndexedLetter[]): LetterChunk {
    return new LetterChunk(letters, (letter) => this.#groups.use(letter));
  }

  #replace(at: number, letters: readonly IndexedLetter[]): void {
    const before = this.#chunks[at];
    this.#chunks[at] = this.#chunkOf(letters);
    if (before) this.#drop(before);
  }

  #drop({ groups }: LetterChunk): void {
    for (const group of groups) if (group !== 0) this.#groups.drop(group);
  }

  /** Of the first chunk whose number is not lower. */
  #indexOf(number: number): number {
    let [low, high] = [0, this.#chunks.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#chunks[middle] as LetterChunk).number < number) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
