import type { Position } from "../store/event-store.ts";
import type { Cursor, DeliveryCounts } from "../store/delivery-store.ts";
import { Fifo } from "./fifo.ts";

/** How an event was settled and is counted. */
type Counted = "delivered" | "expired" | "deadLettered" | "trimmed" | "damaged";
/**
 * `filtered`: it was in hand, and then its rule made nothing of it. That is not counted: what was filtered is derived from the range
 * that was read.
 */
export type Settlement = Counted | "filtered";

export interface Tracked {
  /** The position before this event: reading after it gives this event. */
  readonly before: Position;
  readonly position: Position;
  /** How many events of the topic lie before this one. */
  readonly index: number;
  isSettled: boolean;
}

export interface TrackerStart {
  readonly subscription: string;
  readonly topic: string;
  readonly cursor: Cursor;
  /** How many events the topic had ever stored at the cursor's start. */
  readonly startIndex: number;
}

/**
 * A subscription's place in one topic. It remembers the events in hand in reading order, so that the cursor never passes one
 * that is not settled. Every event between start and reading place is accounted for by its index: what was not delivered,
 * expired, dead-lettered, trimmed, damaged or is in hand was filtered. So the ledger balances by construction.
 */
export class CursorTracker {
  readonly #start: TrackerStart;
  readonly #inHand = new Fifo<Tracked>();
  /** Settled before the last restart, beyond the cursor, and not yet read again. In reading order. */
  readonly #restored: Set<Position>;
  readonly #counts: Record<Counted, number>;
  #aheadCount = 0;
  #position: Position;
  #index: number;

  constructor(start: TrackerStart) {
    const { cursor } = start;
    const { filtered, ...counts } = cursor.counts;
    this.#start = start;
    this.#restored = new Set(cursor.ahead);
    this.#counts = counts;
    this.#position = cursor.position;
    this.#index = start.startIndex + filtered + sumOf(counts) - cursor.ahead.length;
  }

  /** Where to read on. */
  get position(): Position {
    return this.#position;
  }

  get index(): number {
    return this.#index;
  }

  get startIndex(): number {
    return this.#start.startIndex;
  }

  /** Events in hand and those that wait behind them, settled or not: the bound of memory counts these. */
  get inHandCount(): number {
    return this.#inHand.count;
  }

  /** Of the events in hand, those that are not settled. */
  get unsettledCount(): number {
    return this.#inHand.count - this.#aheadCount;
  }

  get restoredCount(): number {
    return this.#restored.size;
  }

  get oldest(): Tracked | undefined {
    return this.#inHand.peek();
  }

  get restored(): readonly Position[] {
    return [...this.#restored];
  }

  /** True when the event was settled before a restart already: it is passed over, not delivered again. */
  passRestored(event: Tracked): boolean {
    if (this.#restored.size === 0 || !this.#restored.delete(event.position)) return false;
    event.isSettled = true;
    if (this.#inHand.count > 0) {
      this.#inHand.push(event);
      this.#aheadCount += 1;
    }
    return true;
  }

  /** The event is in hand from now on. */
  take(event: Tracked): void {
    this.#inHand.push(event);
  }

  /** Everything up to here was read. */
  advance(position: Position, index: number): void {
    this.#position = position;
    this.#index = index;
  }

  settle(event: Tracked, settlement: Settlement): void {
    if (event.isSettled) return;
    event.isSettled = true;
    if (settlement !== "filtered") this.#counts[settlement] += 1;
    this.#aheadCount += 1;
    while (this.#inHand.peek()?.isSettled) {
      this.#inHand.take();
      this.#aheadCount -= 1;
    }
  }

  /** Retention took events that were not read yet. `restoredLost` of those settled ahead lay among them. */
  skipTrimmed(to: { position: Position; index: number }, restoredLost: readonly Position[]): void {
    for (const position of restoredLost) this.#restored.delete(position);
    this.#counts.trimmed += to.index - this.#index - restoredLost.length;
    this.advance(to.position, to.index);
  }

  /** As the cursor has it: filtered events count once everything before them is settled. */
  counts(): DeliveryCounts {
    const settledIndex = this.#inHand.peek()?.index ?? this.#index;
    const settled = settledIndex - this.#start.startIndex + this.#aheadCount + this.#restored.size;
    return { ...this.#counts, filtered: settled - sumOf(this.#counts) };
  }

  /** What happened to all that was read so far, beyond the cursor too; the events in hand are not part of it. */
  liveCounts(): DeliveryCounts {
    const read = this.#index - this.#start.startIndex + this.#restored.size;
    return { ...this.#counts, filtered: read - this.unsettledCount - sumOf(this.#counts) };
  }

  cursor(): Cursor {
    const { subscription, topic, cursor } = this.#start;
    const ahead: Position[] = [];
    for (const event of this.#inHand) if (event.isSettled) ahead.push(event.position);
    for (const position of this.#restored) ahead.push(position);
    const position = this.#inHand.peek()?.before ?? this.#position;
    return { subscription, topic, start: cursor.start, position, ahead, counts: this.counts() };
  }
}

function sumOf(counts: Readonly<Record<Counted, number>>): number {
  const { delivered, expired, deadLettered, trimmed, damaged } = counts;
  return delivered + expired + deadLettered + trimmed + damaged;
}
