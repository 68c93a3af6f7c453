import {
  agentMadeId,
  emptyWatermark,
  type BlockEntry,
  type ClassWatermark,
  type EventClass,
  type GapReason,
  type Segment,
} from "@fleetmesh/core/base";
import type { AppendItem, BufferTopics, ClassStats, QueuedTopic, ReadRequest } from "./buffer.ts";
import { isExpired } from "./expiry.ts";
import { mergeTopics, shareOfTopics } from "./gap-topics.ts";
import { SegmentList, type GapPiece } from "./segment-list.ts";

interface StoredEvent {
  readonly kind: "event";
  readonly first: number;
  readonly last: number;
  readonly entry: BlockEntry;
  readonly expiresMs: number | undefined;
  readonly byteCount: number;
}

type Row = StoredEvent | ({ readonly kind: "gap" } & GapPiece);

/** About what an event takes in a block. */
export function byteCountOf(item: AppendItem): number {
  const { event, topic } = item.entry;
  const texts = topic.length + event.id.length + event.source.length + event.type.length;
  return 32 + texts + (event.subject?.length ?? 0) + (event.data?.length ?? 0);
}

/** One class of the memory buffer: rows in order of sequence, without a hole from the watermark to the last produced. */
export class MemoryClass {
  readonly #eventClass: EventClass;
  readonly #ttlMs: number | undefined;
  #rows: Row[] = [];
  #produced = 0;
  #confirmed: ClassWatermark = emptyWatermark;
  #queuedBytes = 0;
  #lost: Readonly<Record<"evicted" | "expired", ReadonlyMap<string, number>>> = {
    evicted: new Map(),
    expired: new Map(),
  };

  constructor(eventClass: EventClass, ttlMs: number | undefined) {
    this.#eventClass = eventClass;
    this.#ttlMs = ttlMs;
  }

  get produced(): number {
    return this.#produced;
  }

  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  append(item: AppendItem): void {
    this.#produced += 1;
    const sequence = this.#produced;
    const byteCount = byteCountOf(item);
    const entry = { ...item.entry, sequence };
    const { expiresMs } = item;
    this.#rows.push({
      kind: "event",
      first: sequence,
      last: sequence,
      entry,
      expiresMs,
      byteCount,
    });
    this.#queuedBytes += byteCount;
  }

  read(request: ReadRequest, epoch: string): Segment[] {
    const segments = new SegmentList();
    const after = Math.max(request.after, this.#confirmed.sequence);
    let count = 0;
    let byteCount = 0;
    for (let at = this.#indexAfter(after); at < this.#rows.length; at += 1) {
      if (count >= request.countMax || byteCount >= request.bytesMax) break;
      const row = this.#rows[at];
      if (row?.kind === "gap") segments.gap(above(row, after));
      if (row?.kind !== "event") continue;
      const lifetime = { receivedMs: row.entry.receivedMs, expiresMs: row.expiresMs };
      if (isExpired(lifetime, this.#ttlMs, request.nowMs)) {
        segments.expired(row.entry);
        continue;
      }
      segments.event(withId(row.entry, epoch, this.#eventClass));
      count += 1;
      byteCount += row.byteCount;
    }
    return segments.finish();
  }

  acknowledge(watermark: ClassWatermark): void {
    if (watermark.sequence <= this.#confirmed.sequence) return;
    this.#confirmed = watermark;
    const kept: Row[] = [];
    for (const row of this.#rows) {
      if (row.last > watermark.sequence)
        kept.push(row.kind === "gap" ? { kind: "gap", ...above(row, watermark.sequence) } : row);
      else if (row.kind === "event") this.#queuedBytes -= row.byteCount;
    }
    this.#rows = kept;
  }

  copy(): MemoryClass {
    const copy = new MemoryClass(this.#eventClass, this.#ttlMs);
    copy.#rows = [...this.#rows];
    copy.#produced = this.#produced;
    copy.#confirmed = this.#confirmed;
    copy.#queuedBytes = this.#queuedBytes;
    copy.#lost = this.#lost;
    return copy;
  }

  /** Turns the oldest event into a gap; false when there is none. */
  evictOldest(): boolean {
    const at = this.#rows.findIndex((row) => row.kind === "event");
    return at >= 0 && this.#toGap(at, "evicted");
  }

  /** Turns expired events at the head into gaps. */
  sweep(nowMs: number): void {
    for (let at = 0; at < this.#rows.length; at += 1) {
      const row = this.#rows[at];
      if (row?.kind !== "event") continue;
      const lifetime = { receivedMs: row.entry.receivedMs, expiresMs: row.expiresMs };
      if (!isExpired(lifetime, this.#ttlMs, nowMs)) return;
      this.#toGap(at, "expired");
      at = -1;
    }
  }

  stats(): ClassStats {
    const gaps: Record<GapReason, number> = { evicted: 0, expired: 0, damaged: 0 };
    let queuedEvents = 0;
    let oldestMs: number | undefined;
    for (const row of this.#rows) {
      if (row.kind === "gap") gaps[row.reason] += row.last - row.first + 1;
      else {
        queuedEvents += 1;
        oldestMs ??= row.entry.receivedMs;
      }
    }
    return {
      produced: this.#produced,
      confirmed: this.#confirmed,
      queuedEvents,
      queuedBytes: this.#queuedBytes,
      gaps,
      oldestMs,
    };
  }

  topics(): BufferTopics {
    const eventClass = this.#eventClass;
    const queued = new Map<string, QueuedTopic>();
    for (const row of this.#rows) {
      if (row.kind === "gap") continue;
      const { topic, receivedMs } = row.entry;
      const sum = queued.get(topic) ?? {
        eventClass,
        topic,
        events: 0,
        bytes: 0,
        oldestMs: receivedMs,
      };
      const { events, bytes } = sum;
      queued.set(topic, { ...sum, events: events + 1, bytes: bytes + row.byteCount });
    }
    const lost = (["evicted", "expired"] as const).flatMap((reason) =>
      [...this.#lost[reason]].map(([topic, count]) => ({ eventClass, topic, reason, count })),
    );
    return { queued: [...queued.values()], lost };
  }

  #toGap(at: number, reason: "evicted" | "expired"): boolean {
    const row = this.#rows[at];
    if (row?.kind !== "event") return false;
    const lost = new Map(this.#lost[reason]);
    lost.set(row.entry.topic, (lost.get(row.entry.topic) ?? 0) + 1);
    this.#lost = { ...this.#lost, [reason]: lost };
    this.#queuedBytes -= row.byteCount;
    let gap: GapPiece = {
      first: row.first,
      last: row.last,
      reason,
      topics: { [row.entry.topic]: 1 },
    };
    let from = at;
    let until = at + 1;
    const before = this.#rows[at - 1];
    if (before?.kind === "gap" && before.reason === reason) {
      gap = joined(before, gap);
      from -= 1;
    }
    const behind = this.#rows[at + 1];
    if (behind?.kind === "gap" && behind.reason === reason) {
      gap = joined(gap, behind);
      until += 1;
    }
    this.#rows.splice(from, until - from, { kind: "gap", ...gap });
    return true;
  }

  #indexAfter(after: number): number {
    let low = 0;
    let high = this.#rows.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#rows[middle]?.last ?? 0) > after) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}

/** The part of a gap above a sequence. */
export function above(gap: GapPiece, after: number): GapPiece {
  const { first, last, reason, topics } = gap;
  if (first > after) return { first, last, reason, topics };
  const share = (last - after) / (last - first + 1);
  return { first: after + 1, last, reason, topics: shareOfTopics(topics, share) };
}

/** An entry with the id that the agent makes for those that came without one. */
function withId(entry: BlockEntry, epoch: string, eventClass: EventClass): BlockEntry {
  if (entry.event.id !== "") return entry;
  const id = agentMadeId(epoch, eventClass, entry.sequence);
  return { ...entry, event: { ...entry.event, id } };
}

function joined(one: GapPiece, next: GapPiece): GapPiece {
  const topics = mergeTopics(one.topics, next.topics);
  return { first: one.first, last: next.last, reason: one.reason, topics };
}
