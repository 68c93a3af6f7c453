import { eventClasses, type EventClass } from "@fleetmesh/core";
import type { BufferStats } from "../buffer/buffer.ts";

/** By how much batches shrink when one was refused whole: few connections are lost on the way to the event at fault. */
const narrowing = 8;

/**
 * What one class of one buffer has learnt and must not forget with a connection.
 * - `knowable`: the highest sequence that the region can know. A region that knows more has it from another buffer.
 * - Caution: a batch was refused whole. Until the region has passed all that was on its way then, batches are small and go
 *   one at a time, so that the next refusal names the one at fault.
 * - Dropped: events that neither end can carry, told as gaps.
 */
export class LaneMemory {
  readonly dropped = new Set<number>();
  #knowable: number;
  #countMax = Infinity;
  #cautiousUpTo = 0;

  constructor(knowable: number) {
    this.#knowable = knowable;
  }

  get knowable(): number {
    return this.#knowable;
  }

  get isCautious(): boolean {
    return this.#cautiousUpTo > 0;
  }

  countMax(limit: number): number {
    return Math.min(limit, this.#countMax);
  }

  sent(last: number): void {
    this.#knowable = Math.max(this.#knowable, last);
  }

  /** Something up to `last` was refused, in batches of so many events. */
  narrow(last: number, eventCount: number): void {
    const known = Math.min(eventCount, this.#countMax);
    this.#countMax = Math.max(1, Math.ceil(known / narrowing));
    this.#cautiousUpTo = Math.max(this.#cautiousUpTo, last);
  }

  /** The region has handled everything up to here. */
  passed(sequence: number): void {
    for (const dropped of this.dropped) if (dropped <= sequence) this.dropped.delete(dropped);
    if (sequence < this.#cautiousUpTo) return;
    this.#cautiousUpTo = 0;
    this.#countMax = Infinity;
  }
}

export type BufferMemory = Readonly<Record<EventClass, LaneMemory>>;

/** Taken when a buffer is seen first: what it has given out until then may have been sent by an earlier process. */
export function memoryOf({ classes }: BufferStats): BufferMemory {
  const memories = eventClasses.map((name) => [name, new LaneMemory(classes[name].produced)]);
  return Object.fromEntries(memories) as BufferMemory;
}
