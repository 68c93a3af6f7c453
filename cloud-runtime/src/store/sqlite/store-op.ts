import type { ClassWatermark, ErrorData, TailPrints } from "@fleetmesh/core";
import type { Span } from "../shared/agent-progress.ts";

/** Events of one topic, encoded once by the main thread and transferred. */
export interface PackedBlock {
  readonly topic: string;
  readonly count: number;
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** One 32-bit hash of the id per event, for `find`. */
  readonly hashes: Uint32Array<ArrayBuffer>;
}

export interface PackedReject {
  readonly sequence: number;
  readonly code: string;
  readonly reason: string;
  /** A block of this one entry. */
  readonly bytes: Uint8Array<ArrayBuffer>;
}

export interface AgentOp {
  readonly kind: "agent";
  readonly agentId: string;
  readonly epoch: string;
  readonly rank: number;
  readonly spans: readonly Span[];
  readonly blocks: readonly PackedBlock[];
  readonly rejects: readonly PackedReject[];
  /** Of its last sequences. */
  readonly prints: TailPrints;
}

export interface DirectOp {
  readonly kind: "direct";
  readonly block: PackedBlock;
  /** `directIdentity` of each event, one after the other. */
  readonly identities: Uint8Array<ArrayBuffer>;
}

export interface ReplicatedOp {
  readonly kind: "replicated";
  readonly topic: string;
  readonly originRegion: string;
  readonly before: string | undefined;
  readonly after: string;
  readonly count: number;
  readonly block: PackedBlock | undefined;
  readonly meta: string;
}

export interface CursorRow {
  readonly subscription: string;
  readonly topic: string;
  readonly start: string;
  readonly position: string;
  readonly counts: readonly [
    delivered: number,
    filtered: number,
    expired: number,
    deadLettered: number,
    trimmed: number,
    damaged: number,
  ];
  readonly ahead: Uint8Array;
}

export interface RetryRow {
  readonly subscription: string;
  readonly topic: string;
  readonly position: string;
  readonly key: string;
  readonly attempts: string;
  readonly nextMs: number;
}

export interface DeadLetterRow {
  readonly id: string;
  readonly subscription: string;
  readonly topic: string;
  readonly position: string;
  readonly atMs: number;
  readonly reason: string;
  readonly attempts: string;
  readonly origin: string;
  readonly entry: Uint8Array;
}

/** The records of one subscription and topic in one commit. */
export interface RecordRow {
  readonly subscription: string;
  readonly topic: string;
  readonly low: number;
  readonly high: number;
  readonly count: number;
  readonly atMs: number;
  readonly body: Uint8Array;
}

export interface DeliverOp {
  readonly kind: "deliver";
  readonly cursors: readonly CursorRow[];
  readonly retries: readonly RetryRow[];
  readonly retriesDone: readonly (readonly [
    subscription: string,
    topic: string,
    position: string,
  ])[];
  readonly deadLetters: readonly DeadLetterRow[];
  readonly records: readonly RecordRow[];
}

export interface ForgetOp {
  readonly kind: "forget";
  readonly subscription: string;
}

export interface SettleOp {
  readonly kind: "settle";
  readonly ids: readonly string[];
  readonly outcome: "redriven" | "discarded";
}

/** One bounded step of retention on one topic. */
export interface TrimOp {
  readonly kind: "trim";
  readonly topic: string;
  readonly beforeMs: number;
  readonly bytesMax: number;
  /** The last of those that go whatever their age. */
  readonly through?: number | undefined;
}

/** A block that a reader could not read back. */
export interface DamagedOp {
  readonly kind: "damaged";
  readonly topic: string;
  readonly first: number;
  readonly count: number;
}

/** Bounds everything else that grows: rejected events, delivery records, settled dead letters. */
export interface TidyOp {
  readonly kind: "tidy";
  readonly nowMs: number;
}

export type StoreOp =
  AgentOp | DirectOp | ReplicatedOp | DeliverOp | ForgetOp | SettleOp | TrimOp | DamagedOp | TidyOp;

export interface StoredBlock {
  readonly topic: string;
  readonly first: number;
  /** How many of the block's first events were known and dropped. */
  readonly skipped: number;
}

export type StoreResult =
  | {
      readonly kind: "agent";
      readonly outcome: "stored" | "duplicate" | "ahead";
      readonly watermark: ClassWatermark;
      readonly stored: readonly StoredBlock[];
    }
  /** `kept`: indexes of the events that were new. */
  | { readonly kind: "direct"; readonly first: number; readonly kept: readonly number[] }
  | { readonly kind: "replicated"; readonly first: number }
  | { readonly kind: "trimmed"; readonly trimmed: number; readonly hasMore: boolean }
  | { readonly kind: "done"; readonly count: number }
  | { readonly kind: "failed"; readonly error: ErrorData };

export interface TopicRow {
  readonly id: number;
  readonly name: string;
  readonly stored: number;
  readonly trimmed: number;
  /** When its newest event was stored, the store's wall clock; 0 when none was. */
  readonly lastMs: number;
}
