import type { BlockEntry } from "../event/block.ts";
import type { EventClass } from "../topic/event-class.ts";

/** Why sequences of a class will never reach the region. */
export type GapReason = "evicted" | "expired" | "damaged";

/** A stretch of consecutive sequences of one class, in order: events, or a gap where events were. */
export type Segment =
  | { readonly kind: "events"; readonly first: number; readonly entries: readonly BlockEntry[] }
  | {
      readonly kind: "gap";
      readonly first: number;
      readonly last: number;
      readonly reason: GapReason;
      /** How many of them per topic, as far as known. */
      readonly topics: Readonly<Record<string, number>>;
    };

/** What an agent sends on `batches/{agentId}`; docs/wire.md has the bytes. */
export type WireMessage = WireHello | WireBatch;

/** Sent first on every connection, for each epoch the agent still holds: the region answers with its acknowledgement. */
export interface WireHello {
  readonly kind: "hello";
  readonly agentId: string;
  readonly epoch: string;
  /** The lowest sequence the agent can still send, and the next it will give out. */
  readonly classes: Readonly<
    Partial<Record<EventClass, { readonly oldest: number; readonly next: number }>>
  >;
  /** The agent's wall clock, to measure its skew. */
  readonly sentMs: number;
}

/** Consecutive sequences first..last of one class, covered by the segments without a hole. */
export interface WireBatch {
  readonly kind: "batch";
  readonly agentId: string;
  readonly epoch: string;
  readonly eventClass: EventClass;
  readonly first: number;
  readonly last: number;
  readonly segments: readonly Segment[];
}
