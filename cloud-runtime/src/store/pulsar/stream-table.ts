import {
  ByteReader,
  ByteWriter,
  classRank,
  emptyWatermark,
  tailPrintsMax,
  type ClassWatermark,
  type EventClass,
  type TailPrint,
  type TailPrints,
} from "@fleetmesh/core";
import type { Span } from "../shared/agent-progress.ts";

export type SpanKind = Span["counts"];

const kinds: readonly SpanKind[] = ["stored", "rejected", "evicted", "expired", "damaged"];
/** Numbers of one stream: the contiguous sequence, one counter per kind, and a ring of the prints of the newest sequences. */
const printsAt = 1 + kinds.length;
const width = printsAt + tailPrintsMax;
/** A print in the ring: 34 bits that say it, and above them as much of its sequence as there is room for. */
const printSpan = 2 ** 34;
const sequenceSpan = 2 ** 18;

/** Beyond so many of one stream the oldest are forgotten. */
const eventlessRangesMax = 64;

interface Range {
  first: number;
  last: number;
}

/** A stretch that lies beyond a hole. */
interface Beyond extends Range {
  readonly kind: number;
}

interface Eventless {
  /** Below it nothing is remembered. */
  floor: number;
  readonly ranges: Range[];
}

export interface StreamOf {
  readonly agentId: string;
  readonly epoch: string;
  readonly eventClass: EventClass;
}

/** One text for (class, epoch, agent): the key of the stream in memory and in the state. */
export function streamKey({ agentId, epoch, eventClass }: StreamOf): string {
  return `s/${classRank(eventClass)}/${epoch}/${agentId}`;
}

/**
 * What is known of each (agent, epoch, class): the contiguous watermark, and what lies beyond a hole, because topics are folded
 * each at its own pace and a broken send may leave a hole. Fourteen numbers in one array per stream, since there may be millions.
 */
export class StreamTable {
  readonly #slots = new Map<string, number>();
  readonly #beyond = new Map<number, Beyond[]>();
  /** What became no event: gaps and rejected ones, newest ranges last. Few streams have any. */
  readonly #eventless = new Map<number, Eventless>();
  #numbers = new Float64Array(width * 256);

  get size(): number {
    return this.#slots.size;
  }

  watermark(key: string): ClassWatermark | undefined {
    const slot = this.#slots.get(key);
    if (slot === undefined) return undefined;
    const at = (index: number): number => this.#numbers[slot * width + index] ?? 0;
    return {
      sequence: at(0),
      ...{ stored: at(1), rejected: at(2), evicted: at(3), expired: at(4), damaged: at(5) },
    };
  }

  isKnown(key: string, sequence: number): boolean {
    const slot = this.#slots.get(key);
    if (slot === undefined) return false;
    if (sequence <= (this.#numbers[slot * width] ?? 0)) return true;
    const beyond = this.#beyond.get(slot);
    return beyond?.some(({ first, last }) => first <= sequence && sequence <= last) ?? false;
  }

  /** An event of this number was stored here. False for a gap, a rejected one, and what lies too far back to be told from them. */
  isStored(key: string, sequence: number): boolean {
    if (!this.isKnown(key, sequence)) return false;
    const eventless = this.#eventless.get(this.#slots.get(key) ?? -1);
    if (!eventless) return true;
    if (sequence < eventless.floor) return false;
    return !eventless.ranges.some(({ first, last }) => first <= sequence && sequence <= last);
  }

  /** Marks first..last; gives how many of them were not known before. */
  add(key: string, kind: SpanKind, { first, last }: { first: number; last: number }): number {
    const slot = this.#slotOf(key);
    const base = slot * width;
    const known = this.#numbers[base] ?? 0;
    if (last <= known) return 0;
    const from = Math.max(first, known + 1);
    const rank = kinds.indexOf(kind);
    if (kind !== "stored") this.#skip(slot, { first: from, last });
    const beyond = this.#beyond.get(slot);
    if (!beyond && from === known + 1) {
      this.#advance(base, rank, { known, last });
      return last - known;
    }
    const ranges = beyond ?? [];
    if (!beyond) this.#beyond.set(slot, ranges);
    const fresh = insert(ranges, { first: from, last, kind: rank });
    this.#absorb(slot, ranges);
    return fresh;
  }

  /** What a sequence is told from a copy's by. */
  print(key: string, sequence: number, print: TailPrint): void {
    const slot = this.#slotOf(key);
    const code = print === null ? 0 : print + 2;
    const at = slot * width + printsAt + (sequence % tailPrintsMax);
    this.#numbers[at] = (sequence % sequenceSpan) * printSpan + code;
  }

  /** Of the last sequences up to the watermark; null for one that a sequence beyond a hole has pushed out. */
  prints(key: string): TailPrints {
    const slot = this.#slots.get(key);
    if (slot === undefined) return [];
    const last = this.#numbers[slot * width] ?? 0;
    const prints: TailPrint[] = [];
    for (let at = Math.max(1, last - tailPrintsMax + 1); at <= last; at += 1) {
      const packed = this.#numbers[slot * width + printsAt + (at % tailPrintsMax)] ?? 0;
      const code = packed % printSpan;
      const isIts = Math.floor(packed / printSpan) === at % sequenceSpan;
      prints.push(isIts && code > 0 ? code - 2 : null);
    }
    return prints;
  }

  encode(key: string): Uint8Array {
    const out = new ByteWriter(32);
    const slot = this.#slots.get(key) ?? -1;
    for (let at = 0; at < width; at += 1) out.varint(this.#numbers[slot * width + at] ?? 0);
    const beyond = this.#beyond.get(slot) ?? [];
    out.varint(beyond.length);
    for (const range of beyond) {
      writeRange(out, range);
      out.varint(range.kind);
    }
    const eventless = this.#eventless.get(slot);
    if (!eventless) return out.take();
    out.varint(eventless.floor);
    for (const range of eventless.ranges) writeRange(out, range);
    return out.take();
  }

  restore(key: string, value: Uint8Array): void {
    const slot = this.#slotOf(key);
    const input = new ByteReader(value);
    for (let at = 0; at < width; at += 1) this.#numbers[slot * width + at] = input.varint();
    const ranges: Beyond[] = [];
    for (let count = input.varint(); count > 0; count -= 1)
      ranges.push({ ...readRange(input), kind: input.varint() });
    if (ranges.length > 0) this.#beyond.set(slot, ranges);
    else this.#beyond.delete(slot);
    this.#eventless.delete(slot);
    if (input.remaining === 0) return;
    const eventless: Eventless = { floor: input.varint(), ranges: [] };
    while (input.remaining > 0) eventless.ranges.push(readRange(input));
    this.#eventless.set(slot, eventless);
  }

  /** A table of one stream with what is known of it here, for what is sent and not yet folded. */
  copyOf(key: string): StreamTable {
    const copy = new StreamTable();
    copy.#numbers = new Float64Array(width);
    if (this.#slots.has(key)) copy.restore(key, this.encode(key));
    return copy;
  }

  #slotOf(key: string): number {
    const found = this.#slots.get(key);
    if (found !== undefined) return found;
    const slot = this.#slots.size;
    this.#slots.set(key, slot);
    if ((slot + 1) * width > this.#numbers.length) {
      const larger = new Float64Array(this.#numbers.length * 2);
      larger.set(this.#numbers);
      this.#numbers = larger;
    }
    return slot;
  }

  #skip(slot: number, { first, last }: Range): void {
    const eventless = this.#eventless.get(slot) ?? { floor: 0, ranges: [] };
    this.#eventless.set(slot, eventless);
    const newest = eventless.ranges.at(-1);
    if (newest?.last === first - 1) newest.last = last;
    else eventless.ranges.push({ first, last });
    if (eventless.ranges.length <= eventlessRangesMax) return;
    eventless.floor = Math.max(eventless.floor, (eventless.ranges.shift()?.last ?? 0) + 1);
  }

  #advance(base: number, rank: number, { known, last }: { known: number; last: number }): void {
    this.#numbers[base] = last;
    this.#numbers[base + 1 + rank] = (this.#numbers[base + 1 + rank] ?? 0) + last - known;
  }

  /** Holes that were filled: what follows without one counts into the watermark. */
  #absorb(slot: number, ranges: Beyond[]): void {
    const base = slot * width;
    let taken = 0;
    for (const { first, last, kind } of ranges) {
      const known = this.#numbers[base] ?? 0;
      if (first !== known + 1) break;
      this.#advance(base, kind, { known, last });
      taken += 1;
    }
    ranges.splice(0, taken);
    if (ranges.length === 0) this.#beyond.delete(slot);
  }
}

/** The same for a stream that nothing is known of. */
export function watermarkOf(table: StreamTable, key: string): ClassWatermark {
  return table.watermark(key) ?? emptyWatermark;
}

function writeRange(out: ByteWriter, { first, last }: Range): void {
  out.varint(first);
  out.varint(last - first);
}

function readRange(input: ByteReader): Range {
  const first = input.varint();
  return { first, last: first + input.varint() };
}

/** Puts into ordered, separate ranges what of `added` is in none of them; gives how much that was. */
function insert(ranges: Beyond[], added: Beyond): number {
  const newest = ranges.at(-1);
  if (!newest || added.first > newest.last) {
    if (newest?.kind === added.kind && newest.last + 1 === added.first) newest.last = added.last;
    else ranges.push({ ...added });
    return added.last - added.first + 1;
  }
  const pieces: Beyond[] = [];
  let from = added.first;
  for (const { first, last } of ranges) {
    if (last < from) continue;
    if (first > added.last) break;
    if (first > from) pieces.push({ ...added, first: from, last: first - 1 });
    from = last + 1;
  }
  if (from <= added.last) pieces.push({ ...added, first: from });
  ranges.push(...pieces);
  ranges.sort((left, right) => left.first - right.first);
  return pieces.reduce((sum, { first, last }) => sum + last - first + 1, 0);
}
