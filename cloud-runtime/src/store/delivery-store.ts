import type { BlockEntry, Part } from "@fleetmesh/core";
import type { Origin, Position } from "./event-store.ts";

/** What a subscription has done on one topic since its start position. Committed with the cursor, never apart from it. */
export interface DeliveryCounts {
  readonly delivered: number;
  readonly filtered: number;
  readonly expired: number;
  readonly deadLettered: number;
  readonly trimmed: number;
  /** The store could not read them back any more. */
  readonly damaged: number;
}

/** A subscription's place in one topic: everything up to `position` is settled, and beyond it what `ahead` lists. */
export interface Cursor {
  readonly subscription: string;
  readonly topic: string;
  readonly start: Position;
  readonly position: Position;
  /** Settled out of order, in reading order. */
  readonly ahead: readonly Position[];
  readonly counts: DeliveryCounts;
}

export interface Attempt {
  readonly atMs: number;
  readonly durationMs: number;
  /** e.g. "200", "503", "timeout", "refused"; one line of detail for people. */
  readonly outcome: string;
  readonly detail?: string | undefined;
}

/** An event whose delivery failed so far and will be tried again: survives a restart. */
export interface PendingRetry {
  readonly subscription: string;
  readonly topic: string;
  readonly position: Position;
  readonly key: string;
  readonly attempts: readonly Attempt[];
  readonly nextMs: number;
}

export interface DeadLetter {
  readonly id: string;
  readonly subscription: string;
  readonly topic: string;
  readonly position: Position;
  readonly atMs: number;
  readonly reason: string;
  readonly attempts: readonly Attempt[];
  readonly origin: Origin;
  readonly entry: BlockEntry;
}

/** One settled event, kept for the trace. */
export interface DeliveryRecord {
  readonly subscription: string;
  readonly topic: string;
  readonly position: Position;
  /** `filtered`: it matched, and the transform made nothing of it. What did not match has no record. */
  readonly outcome: "delivered" | "dead-lettered" | "expired" | "filtered";
  readonly attempts: number;
  readonly atMs: number;
  readonly durationMs: number;
}

export interface DeliveryCommit {
  readonly cursors: readonly Cursor[];
  readonly retries: readonly PendingRetry[];
  /** Retries that are over, by (subscription, topic, position). */
  readonly retriesDone: readonly {
    readonly subscription: string;
    readonly topic: string;
    readonly position: Position;
  }[];
  readonly deadLetters: readonly DeadLetter[];
  readonly records: readonly DeliveryRecord[];
}

export interface DeadLetterQuery {
  readonly subscription?: string | undefined;
  readonly topic?: string | undefined;
  /** Ids after this one, in order of age. */
  readonly after?: string | undefined;
  readonly limit: number;
}

export interface SettledDeadLetters {
  readonly subscription: string;
  readonly redriven: number;
  readonly discarded: number;
}

/**
 * What the dispatcher must not forget.
 * Guarantees: `commit` is atomic and durable when it resolves: a dead letter is never without its cursor's move, nor a cursor's
 * move without its dead letter. Records are kept for a bounded time and number.
 * Errors: STORE_UNAVAILABLE, STOPPING.
 */
export interface DeliveryStore extends Part {
  commit(commit: DeliveryCommit): Promise<void>;
  cursors(subscription: string): Promise<Cursor[]>;
  retries(subscription: string): Promise<PendingRetry[]>;
  /** Forgets cursors, retries and records of a deleted subscription; its dead letters stay. */
  forget(subscription: string): Promise<void>;
  deadLetters(query: DeadLetterQuery): Promise<DeadLetter[]>;
  deadLetterGroups(): Promise<
    {
      readonly subscription: string;
      readonly reason: string;
      readonly count: number;
      readonly oldestMs: number;
    }[]
  >;
  /** Takes a dead letter out after it was redriven or discarded; counted apart in the ledger. */
  settleDeadLetters(ids: readonly string[], outcome: "redriven" | "discarded"): Promise<number>;
  records(topic: string, position: Position): Promise<DeliveryRecord[]>;
  /**
   * Another node had this store since the caller last read from it: cursors are to be read again, and what was not committed is to
   * be thrown away. Told before anything can be committed again. A store of one node leaves it out.
   */
  onInterrupted?(listener: () => void): () => void;
  /** Dead letters ever taken out, by subscription and outcome: the ledger's other side of `settleDeadLetters`. */
  settledDeadLetters(): Promise<SettledDeadLetters[]>;
}
