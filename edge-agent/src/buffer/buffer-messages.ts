import type { ClassWatermark, ErrorData } from "@fleetmesh/core";
import type { BufferLimits } from "./buffer-options.ts";
import type { GapPiece } from "./segment-list.ts";

/** A block on its way to the disk. Its entries carry no sequence: the thread gives the first, the others follow. */
export interface EncodedBlock {
  readonly rank: number;
  readonly count: number;
  readonly receivedMin: number;
  readonly receivedMax: number;
  /** When the last of them expires; undefined when one of them never does. */
  readonly expiresMax: number | undefined;
  /** For each entry when it expires, Infinity = never; undefined when none of them does. */
  readonly expires: Float64Array<ArrayBuffer> | undefined;
  /** Its topics, as `blockTopicsText` writes them. */
  readonly topics: string;
  readonly body: Uint8Array<ArrayBuffer>;
}

/** Blocks that are stored together or not at all. */
export type AppendUnit = readonly EncodedBlock[];

export type ReadPiece =
  | {
      readonly kind: "block";
      readonly first: number;
      readonly count: number;
      readonly expires: Uint8Array | null;
      readonly body: Uint8Array;
    }
  | ({ readonly kind: "gap" } & GapPiece);

export interface ReadQuery {
  readonly rank: number;
  readonly after: number;
  readonly countMax: number;
  readonly bytesMax: number;
  readonly nowMs: number | undefined;
}

export type BufferRequest =
  | {
      readonly kind: "append";
      readonly id: number;
      readonly units: readonly AppendUnit[];
      /** For each unit the identities of its events, as RepeatIdentity writes them. */
      readonly repeats: readonly Uint32Array[];
      readonly nowMs: number | undefined;
    }
  | { readonly kind: "remember"; readonly id: number; readonly identities: Uint32Array }
  | { readonly kind: "read"; readonly id: number; readonly query: ReadQuery }
  | {
      readonly kind: "acknowledge";
      readonly id: number;
      readonly watermarks: readonly (readonly [rank: number, watermark: ClassWatermark])[];
    }
  | { readonly kind: "stats"; readonly id: number }
  | { readonly kind: "topics"; readonly id: number }
  | { readonly kind: "stop"; readonly id: number };

/** `append` answers with one truth for each unit: stored, or false = no room. */
export type BufferReply =
  | { readonly kind: "done"; readonly id: number; readonly value: unknown }
  | { readonly kind: "failed"; readonly id: number; readonly error: ErrorData }
  | {
      readonly kind: "opened";
      readonly agentId: string;
      readonly epoch: string;
      /** Identities of the last durable events, oldest first. */
      readonly repeats: Uint32Array;
    }
  | { readonly kind: "start-failed"; readonly error: ErrorData }
  | { readonly kind: "unavailable"; readonly reason: string | undefined }
  | { readonly kind: "damaged"; readonly reason: string };

export interface BufferThreadSettings {
  readonly file: string;
  readonly agentId: string;
  /** Taken when the file is new. */
  readonly epoch: string;
  readonly limits: BufferLimits;
  readonly ackDelayMs: number;
  readonly reserveBytes: number;
  readonly durability: "full" | "off";
  readonly isPlaceChecked: boolean;
}
