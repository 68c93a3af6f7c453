import { ByteReader, ByteWriter } from "@fleetmesh/core";
import { compareMessageIds, type MessageId } from "@fleetmesh/pulsar";
import type { Retention } from "../shared/retention.ts";
import { ChunkedList } from "./chunked-list.ts";
import { readPlace, topicStart, writePlace } from "./message-place.ts";

/** A stretch of a topic: what retention takes at once, and where a search by time or place begins. */
export interface Segment {
  /** The last event before the segment. */
  readonly before: MessageId;
  last: MessageId;
  readonly firstMs: number;
  lastMs: number;
  count: number;
  bytes: number;
}

export interface SegmentEvent {
  readonly id: MessageId;
  readonly bytes: number;
  /** When it was stored; never less than the one before. Wall clock, milliseconds. */
  readonly storedMs: number;
}

const segmentsPerTopic = 1_000;
const spanMsMin = 1_000;

/** A topic's events in stretches of a second or a thousandth of its retention, whichever is longer; and what was trimmed. */
export class SegmentList {
  readonly #list: ChunkedList<Segment>;
  #head: MessageId = topicStart;
  #trimmed = 0;
  #bytes = 0;

  constructor(onChanged: (chunk: number) => void) {
    this.#list = new ChunkedList({ codec: { encode, decode }, chunkSize: 32, onChanged });
  }

  /** The last event that retention took; the topic's start when it took none. */
  get head(): MessageId {
    return this.#head;
  }

  get trimmed(): number {
    return this.#trimmed;
  }

  get next(): number {
    return this.#list.next;
  }

  get all(): readonly Segment[] {
    return this.#list.items;
  }

  add({ id, bytes, storedMs }: SegmentEvent, retention: Retention): void {
    const open = this.#list.items.at(-1);
    const spanMs = Math.max(spanMsMin, retention.retentionMs / segmentsPerTopic);
    const bytesMax = retention.retentionBytes / segmentsPerTopic;
    this.#bytes += bytes;
    if (!open || storedMs >= open.firstMs + spanMs || open.bytes >= bytesMax) {
      const before = open?.last ?? this.#head;
      const times = { firstMs: storedMs, lastMs: storedMs };
      this.#list.push({ before, last: id, ...times, count: 1, bytes });
      return;
    }
    open.last = id;
    open.lastMs = storedMs;
    open.count += 1;
    open.bytes += bytes;
    this.#list.touchLast();
  }

  /** Takes whole segments from the head; true when it took any. */
  trim(nowMs: number, { retentionMs, retentionBytes }: Retention): boolean {
    let count = 0;
    for (const segment of this.all) {
      const isOld = segment.lastMs < nowMs - retentionMs;
      if (!isOld && this.#bytes <= retentionBytes) break;
      this.#take(segment);
      count += 1;
    }
    this.#list.drop(count);
    return count > 0;
  }

  /** The broker has nothing before this place any more: what lay there counts as trimmed. True when anything did. */
  trimBefore(id: MessageId): boolean {
    let count = 0;
    for (const segment of this.all) {
      if (compareMessageIds(segment.last, id) >= 0) break;
      this.#take(segment);
      count += 1;
    }
    this.#list.drop(count);
    return count > 0;
  }

  /** The segment in which the first event at or after this time lies. */
  atTime(timeMs: number): Segment | undefined {
    return this.all.find(({ lastMs }) => lastMs >= timeMs);
  }

  encode(chunk: number): Uint8Array | undefined {
    return this.#list.encode(chunk);
  }

  restore(chunk: number, value: Uint8Array | undefined): void {
    this.#list.restore(chunk, value);
  }

  finishRestore(kept: { head: MessageId; trimmed: number; next: number }): void {
    this.#list.finishRestore(kept.next);
    this.#head = kept.head;
    this.#trimmed = kept.trimmed;
    this.#bytes = this.all.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  #take({ last, count, bytes }: Segment): void {
    this.#head = last;
    this.#trimmed += count;
    this.#bytes -= bytes;
  }
}

function encode(segments: readonly Segment[]): Uint8Array {
  const out = new ByteWriter(1_024);
  for (const { before, last, firstMs, lastMs, count, bytes } of segments) {
    writePlace(out, before);
    writePlace(out, last);
    out.f64(firstMs);
    out.f64(lastMs);
    out.varint(count);
    out.varint(bytes);
  }
  return out.take();
}

function decode(value: Uint8Array): Segment[] {
  const segments: Segment[] = [];
  const input = new ByteReader(value);
  while (input.remaining > 0) {
    const [before, last] = [readPlace(input), readPlace(input)];
    const times = { firstMs: input.f64(), lastMs: input.f64() };
    segments.push({ before, last, ...times, count: input.varint(), bytes: input.varint() });
  }
  return segments;
}
