import type { BlockEntry } from "@fleetmesh/core";
import type {
  Origin,
  Page,
  Position,
  ReadLimit,
  StoredEvent,
  TopicBounds,
} from "../event-store.ts";
import { entrySize } from "../shared/entry-size.ts";
import { PageCollector } from "../shared/page-collector.ts";
import type { Retention } from "../shared/retention.ts";
import { ordinalAfter, positionOf } from "../shared/topic-position.ts";

interface Kept {
  readonly entry: BlockEntry;
  readonly origin: Origin;
  readonly storedMs: number;
  readonly size: number;
  /** Place among all events of the store. */
  readonly order: number;
}

export interface Arrival {
  readonly nowMs: number;
  readonly order: number;
}

export interface Found {
  readonly order: number;
  readonly event: StoredEvent;
}

/** One topic's log in memory. */
export class MemoryTopic {
  readonly topic: string;
  readonly counts = { fromAgents: 0, direct: 0, replicated: 0, duplicates: 0 };
  #kept: Kept[] = [];
  #trimmed = 0;
  #bytes = 0;
  #lastMs = 0;

  constructor(topic: string) {
    this.topic = topic;
  }

  get stored(): number {
    return this.#trimmed + this.#kept.length;
  }

  /** When the newest event was stored, the store's wall clock; 0 when none was. */
  get lastMs(): number {
    return this.#lastMs;
  }

  get trimmed(): number {
    return this.#trimmed;
  }

  append(entry: BlockEntry, origin: Origin, arrival: Arrival): void {
    // The search by time needs times that never go back, whatever the wall clock does.
    this.#lastMs = Math.max(this.#lastMs, arrival.nowMs);
    const size = entrySize(entry);
    this.#bytes += size;
    this.#kept.push({ entry, origin, storedMs: this.#lastMs, size, order: arrival.order });
  }

  read(after: string, limit: ReadLimit): Page {
    const from = ordinalAfter(this.topic, after, this);
    const page = new PageCollector(limit);
    for (let at = from - this.#trimmed; at < this.#kept.length; at += 1) {
      const kept = this.#kept[at] as Kept;
      if (!page.add(this.#trimmed + at + 1, kept.entry, kept.origin)) break;
    }
    return { events: page.events, next: positionOf(from + page.events.length) };
  }

  bounds(): TopicBounds {
    return {
      earliest: positionOf(this.#trimmed),
      latest: positionOf(this.stored),
      stored: this.stored,
      trimmed: this.#trimmed,
    };
  }

  positionAt(timeMs: number): string {
    const later = this.#kept.findIndex((kept) => kept.storedMs >= timeMs);
    return positionOf(later === -1 ? this.stored : this.#trimmed + later);
  }

  find(id: string, source?: string): Found[] {
    const found: Found[] = [];
    for (const [at, { entry, origin, order }] of this.#kept.entries()) {
      if (entry.event.id !== id || (source !== undefined && entry.event.source !== source))
        continue;
      const position = positionOf(this.#trimmed + at + 1);
      found.push({ order, event: { position, topic: this.topic, origin, entry } });
    }
    return found;
  }

  copy(): MemoryTopic {
    const copy = new MemoryTopic(this.topic);
    Object.assign(copy.counts, this.counts);
    copy.#kept = [...this.#kept];
    copy.#trimmed = this.#trimmed;
    copy.#bytes = this.#bytes;
    copy.#lastMs = this.#lastMs;
    return copy;
  }

  trim(nowMs: number, retention: Retention): void {
    let dropped = 0;
    for (const kept of this.#kept) {
      const isOld = kept.storedMs < nowMs - retention.retentionMs;
      if (!isOld && this.#bytes <= retention.retentionBytes) break;
      this.#bytes -= kept.size;
      dropped += 1;
    }
    this.#drop(dropped);
  }

  /** Whatever its age. False when there are events behind. */
  trimThrough(position: Position): boolean {
    const through = ordinalAfter(this.topic, position, this);
    for (const kept of this.#kept.slice(0, through - this.#trimmed)) this.#bytes -= kept.size;
    this.#drop(through - this.#trimmed);
    return this.#kept.length === 0;
  }

  #drop(count: number): void {
    this.#kept = this.#kept.slice(count);
    this.#trimmed += count;
  }
}
