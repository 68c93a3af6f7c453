import type {
  BlockEntry,
  ClassWatermark,
  EventClass,
  GapReason,
  Part,
  Segment,
} from "@fleetmesh/core";

export interface AppendItem {
  readonly eventClass: EventClass;
  /** The buffer assigns the sequence; an empty event id becomes the agent-made id of it. */
  readonly entry: Omit<BlockEntry, "sequence">;
  /** Wall clock after which the event has no value; undefined = never. */
  readonly expiresMs: number | undefined;
}

export interface ReadRequest {
  readonly eventClass: EventClass;
  /** Sequences above this one. */
  readonly after: number;
  readonly countMax: number;
  /** About how many bytes of stored events; at least one event comes when there is one. */
  readonly bytesMax: number;
  /** Cloud-corrected wall clock by which events expire; undefined = the clock was never set, so nothing expires. */
  readonly nowMs: number | undefined;
}

export interface ClassStats {
  /** Highest sequence ever given out in this epoch. */
  readonly produced: number;
  /** What the region last confirmed. */
  readonly confirmed: ClassWatermark;
  readonly queuedEvents: number;
  readonly queuedBytes: number;
  /** Sequences above the confirmed watermark that are gaps by now, by reason. */
  readonly gaps: Readonly<Record<GapReason, number>>;
  /** When the oldest event in the queue was taken, wall clock; undefined when none is. */
  readonly oldestMs: number | undefined;
}

export interface BufferStats {
  readonly classes: Readonly<Record<EventClass, ClassStats>>;
  readonly bytes: number;
  readonly bytesMax: number;
  /** Set while the disk refuses writes: what the door says meanwhile. */
  readonly unavailable: string | undefined;
}

/** What waits of one topic in one class. */
export interface QueuedTopic {
  readonly eventClass: EventClass;
  /** `(others)` for all beyond the first thousand. */
  readonly topic: string;
  readonly events: number;
  readonly bytes: number;
  /** When the oldest of them was taken, wall clock, to a commit's time. */
  readonly oldestMs: number | undefined;
}

/** Events of one topic that this buffer will never give out, ever. */
export interface LostTopic {
  readonly eventClass: EventClass;
  readonly topic: string;
  readonly reason: "evicted" | "expired";
  readonly count: number;
}

export interface BufferTopics {
  readonly queued: readonly QueuedTopic[];
  readonly lost: readonly LostTopic[];
}

/**
 * The durable queue of an agent: one identity (agent id, epoch), a sequence from 1 for each class.
 *
 * Guarantees
 * - `append` resolves only when all items are durable (fsynced); all of them or none. Items of a class get consecutive
 *   sequences in the order given. A sequence is never used twice within an epoch, whatever crashes.
 * - What repeats one of the last `repeatWindow` events (same topic, source and id, not empty) with the same content is not
 *   stored and gets no sequence; `append` then resolves when the event that it repeats is durable. With other content the
 *   whole append is refused with EVENT_CONFLICT (details.index) and nothing of it is stored. The window is as durable as the
 *   events, and outlives their deletion. An append that failed is not in it.
 * - `read` gives every sequence above `after` exactly once and without holes: as an event or inside a gap.
 * - What is acknowledged upstream is deleted by and by; forgetting an acknowledgement in a crash is harmless.
 * - Stored bytes never exceed `bytesMax`. When full: `reject` refuses the newcomer; `evict-lowest-class` turns the oldest
 *   events of the lowest class that is not above the newcomer's into a gap, or refuses when all that is stored ranks above.
 * - Memory does not grow with what is stored.
 * - `topics` counts what `stats` counts: a class's topics together hold its queued events. Of what was lost it knows whole blocks'
 *   topics only, so it may know of less than `stats`.
 *
 * Errors: EVENT_CONFLICT, BUFFER_FULL, BUFFER_UNAVAILABLE (disk full, read-only; it recovers by itself), STOPPING. After an error nothing
 * of that append is stored.
 */
export interface EventBuffer extends Part {
  readonly agentId: string;
  /** 16 lower-case hex digits; valid after start. */
  readonly epoch: string;
  append(items: readonly AppendItem[]): Promise<void>;
  read(request: ReadRequest): Promise<Segment[]>;
  /** The region has handled everything up to each class's watermark. Watermarks below the known one change nothing. */
  acknowledge(watermarks: Readonly<Partial<Record<EventClass, ClassWatermark>>>): Promise<void>;
  stats(): Promise<BufferStats>;
  topics(): Promise<BufferTopics>;
  /** Calls back after each durable append, with the classes that grew. */
  onAppended(listener: (classes: readonly EventClass[]) => void): void;
}
