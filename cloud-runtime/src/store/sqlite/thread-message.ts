import type { ErrorData } from "@fleetmesh/core";
import type { StoreOp, StoreResult, TopicRow } from "./store-op.ts";
import type { StoreWriterOptions } from "./store-writer.ts";

export type ThreadRole =
  | { readonly kind: "writer"; readonly options: StoreWriterOptions; readonly onDamage: OnDamage }
  | { readonly kind: "reader"; readonly file: string };

/** What a start does with a damaged file: refuse with STORE_DAMAGED, or put it aside and begin with an empty one. */
export type OnDamage = "refuse" | "quarantine";

export type ThreadTask =
  | { readonly kind: "open" }
  | { readonly kind: "apply"; readonly ops: readonly StoreOp[]; readonly nowMs: number }
  | { readonly kind: "ask"; readonly name: string; readonly ask: unknown }
  | { readonly kind: "close" };

export interface ThreadRequest {
  readonly id: number;
  readonly task: ThreadTask;
}

export type ThreadReply =
  | { readonly id: number; readonly answer: unknown }
  | { readonly id: number; readonly error: ErrorData };

export interface OpenAnswer {
  readonly topics: readonly TopicRow[];
  /** Where a damaged file was put. */
  readonly quarantined: string | undefined;
}

export type ApplyAnswer = readonly StoreResult[];
