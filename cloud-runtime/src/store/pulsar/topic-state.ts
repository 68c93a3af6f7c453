import {
  compareMessageIds,
  formatMessageId,
  parseMessageId,
  type MessageId,
} from "@fleetmesh/pulsar";
import { z } from "zod";
import type { Retention } from "../shared/retention.ts";
import { topicStart } from "./message-place.ts";
import { SegmentList } from "./segment-list.ts";
import { PlaceList } from "./place-list.ts";

const kept = z.object({
  place: z.string(),
  counts: z.object({
    ...{ fromAgents: z.number(), direct: z.number(), replicated: z.number() },
    duplicates: z.number(),
  }),
  skipped: z.number(),
  lastEvent: z.string(),
  lastMs: z.number(),
  head: z.string(),
  trimmed: z.number(),
  segments: z.number(),
  voids: z.number(),
  lates: z.number(),
});

/** What kind of publisher an event counts for. */
export type Publisher = "fromAgents" | "direct" | "replicated";

/** What folding one topic has given so far. A part of the state: the same messages give the same. */
export class TopicState {
  readonly topic: string;
  readonly counts = { fromAgents: 0, direct: 0, replicated: 0, duplicates: 0 };
  readonly segments: SegmentList;
  /**
   * Messages that repeat an earlier one: nobody is given them. As many as lie within the retention, since a reader may come at
   * any place of it.
   */
  readonly voids: PlaceList;
  /** Events of other regions that came behind later ones: they are given out with the mark of a repair. */
  readonly lates: PlaceList;
  /** Messages that are no events. */
  skipped = 0;
  readonly #onChanged: (key: string) => void;
  #place: MessageId = topicStart;
  #lastEvent: MessageId = topicStart;
  #lastMs = 0;

  constructor(topic: string, onChanged: (key: string) => void) {
    this.topic = topic;
    this.#onChanged = onChanged;
    this.segments = new SegmentList((chunk) => onChanged(`g/${topic}/${chunk}`));
    this.voids = new PlaceList((chunk) => onChanged(`v/${topic}/${chunk}`));
    this.lates = new PlaceList((chunk) => onChanged(`w/${topic}/${chunk}`));
  }

  get key(): string {
    return `t/${this.topic}`;
  }

  /** The last message that was folded. */
  get place(): MessageId {
    return this.#place;
  }

  get lastEvent(): MessageId {
    return this.#lastEvent;
  }

  /** When the newest event was stored; 0 when none was. */
  get lastMs(): number {
    return this.#lastMs;
  }

  get stored(): number {
    return this.counts.fromAgents + this.counts.direct + this.counts.replicated;
  }

  has(id: MessageId): boolean {
    return compareMessageIds(id, this.#place) <= 0;
  }

  pass(id: MessageId): void {
    this.#place = id;
    this.#onChanged(this.key);
  }

  /** The times of events never go back, or the search by time would fail. */
  storedMsOf(publishedMs: number): number {
    return Math.max(this.#lastMs, publishedMs);
  }

  add(event: { id: MessageId; bytes: number; publishedMs: number }, more: Addition): void {
    this.#lastMs = this.storedMsOf(event.publishedMs);
    this.#lastEvent = event.id;
    this.counts[more.publisher] += 1;
    this.segments.add({ ...event, storedMs: this.#lastMs }, more.retention);
  }

  /** Events that came again and are not given out again. */
  repeat(count: number): void {
    if (count === 0) return;
    this.counts.duplicates += count;
    this.#onChanged(this.key);
  }

  trim(nowMs: number, retention: Retention): void {
    if (this.segments.trim(nowMs, retention)) this.#trimmed();
  }

  /** The broker's own retention went further than ours. */
  trimBefore(id: MessageId): void {
    if (this.segments.trimBefore(id)) this.#trimmed();
  }

  /** Nothing of it is left. */
  trimAll(): void {
    const { ledger, entry } = this.#place;
    this.trimBefore({ ledger, entry: entry + 1, batch: -1 });
  }

  encode(): Uint8Array {
    const { counts, skipped, segments, voids, lates } = this;
    const record: z.infer<typeof kept> = {
      place: formatMessageId(this.#place),
      ...{ counts, skipped, lastMs: this.#lastMs, trimmed: segments.trimmed },
      lastEvent: formatMessageId(this.#lastEvent),
      head: formatMessageId(segments.head),
      ...{ segments: segments.next, voids: voids.next, lates: lates.next },
    };
    return Buffer.from(JSON.stringify(record));
  }

  /** Chunks of segments and voids may come before or after; `finishRestore` puts all together. */
  restore(value: Uint8Array): void {
    const record = kept.parse(JSON.parse(Buffer.from(value).toString()));
    Object.assign(this.counts, record.counts);
    this.skipped = record.skipped;
    this.#place = parseMessageId(record.place);
    this.#lastEvent = parseMessageId(record.lastEvent);
    this.#lastMs = record.lastMs;
    this.#restored = record;
  }

  finishRestore(): void {
    const { head, trimmed, segments, voids, lates } = this.#restored ?? noRecord;
    this.segments.finishRestore({ head: parseMessageId(head), trimmed, next: segments });
    this.voids.finishRestore(voids);
    this.lates.finishRestore(lates);
  }

  #restored: z.infer<typeof kept> | undefined;

  #trimmed(): void {
    this.voids.trimThrough(this.segments.head);
    this.lates.trimThrough(this.segments.head);
    this.#onChanged(this.key);
  }
}

export interface Addition {
  readonly publisher: Publisher;
  readonly retention: Retention;
}

const noRecord = { head: formatMessageId(topicStart), trimmed: 0, segments: 0, voids: 0, lates: 0 };
