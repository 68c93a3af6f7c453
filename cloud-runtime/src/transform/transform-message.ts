import type { ErrorData } from "@fleetmesh/core/base";
import type { TransformLimits, TransformSpec } from "./transform.ts";

/** What a thread is started with. */
export interface ThreadStart {
  readonly limits: TransformLimits;
  /** Two 32-bit numbers, both from 1: the event of the batch that is at work (0: none has begun), and the step. */
  readonly progress: SharedArrayBuffer;
}

/** One batch, all by one rule. A thread has one at a time. */
export interface ThreadRequest {
  /** By which the thread keeps the rule once it is compiled. */
  readonly rule: string;
  readonly spec: TransformSpec;
  /** The events as a block; `receivedMs` is the time that the rule is told. No events: the rule is only compiled. */
  readonly block: Uint8Array;
}

export interface EventReply {
  /** How many events of the block it became. */
  readonly count: number;
  readonly durationMs: number;
  readonly error?: ErrorData | undefined;
}

export type ThreadReply =
  /** Perhaps of fewer events than were given: the others were not begun. */
  | { readonly block: Uint8Array; readonly events: readonly EventReply[] }
  /** The rule cannot be compiled. */
  | { readonly invalid: ErrorData };

/** Where a thread was when it died: the event of the batch, from 0, and the step, from 1. */
export interface DeathPlace {
  readonly event: number;
  readonly step: number;
}

/** How a batch ended, as the process around the thread tells it. `at` is undefined when no event was at work yet. */
export type BatchOutcome =
  | { readonly kind: "answered"; readonly reply: ThreadReply }
  | {
      readonly kind: "died";
      readonly why: "time" | "memory" | "error";
      readonly at: DeathPlace | undefined;
    };

/** The first thing that the process says is that it is there. */
export type HostMessage = { readonly kind: "ready" } | BatchOutcome;
