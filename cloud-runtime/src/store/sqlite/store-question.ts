import type { KnownWatermark } from "../event-store.ts";
import type { CursorRow, DeadLetterRow, RetryRow } from "./store-op.ts";

/** A stored block as it lies on disk; the main thread decodes it. */
export interface BlockRow {
  readonly topic: string;
  readonly first: number;
  readonly count: number;
  readonly meta: string | null;
  readonly body: Uint8Array<ArrayBuffer>;
}

export interface RejectedRow {
  readonly atMs: number;
  readonly code: string;
  readonly reason: string;
  readonly meta: string;
  readonly entry: Uint8Array<ArrayBuffer>;
}

export interface LedgerRows {
  readonly topics: readonly {
    readonly name: string;
    readonly stored: number;
    readonly trimmed: number;
    readonly fromAgents: number;
    readonly direct: number;
    readonly replicated: number;
    readonly duplicates: number;
    readonly damaged: number;
    readonly readable: number;
  }[];
  readonly counters: Readonly<Record<string, number>>;
}

export interface GroupRow {
  readonly subscription: string;
  readonly reason: string;
  readonly count: number;
  readonly oldestMs: number;
}

/** What the reader thread can be asked: argument and answer of each question. */
export interface StoreQuestions {
  readonly blocks: {
    readonly ask: {
      readonly topic: string;
      readonly after: number;
      readonly countMax: number;
      readonly bytesMax: number;
    };
    readonly answer: BlockRow[];
  };
  readonly positionAt: { readonly ask: { topic: string; timeMs: number }; readonly answer: number };
  readonly find: {
    readonly ask: { id: string; hash: number; source: string | undefined; limit: number };
    readonly answer: { readonly row: BlockRow; readonly indexes: readonly number[] }[];
  };
  readonly watermarks: {
    readonly ask: { agentId: string; epoch: string };
    readonly answer: { readonly rank: number; readonly watermark: KnownWatermark }[];
  };
  readonly link: {
    readonly ask: { region: string; topic: string };
    readonly answer: string | undefined;
  };
  readonly rejected: { readonly ask: { limit: number }; readonly answer: RejectedRow[] };
  readonly ledger: { readonly ask: undefined; readonly answer: LedgerRows };
  readonly cursors: { readonly ask: { subscription: string }; readonly answer: CursorRow[] };
  readonly retries: { readonly ask: { subscription: string }; readonly answer: RetryRow[] };
  readonly deadLetters: {
    readonly ask: {
      readonly subscription: string | undefined;
      readonly topic: string | undefined;
      readonly after: string | undefined;
      readonly limit: number;
    };
    readonly answer: DeadLetterRow[];
  };
  readonly deadLetterGroups: { readonly ask: undefined; readonly answer: GroupRow[] };
  readonly settled: {
    readonly ask: undefined;
    readonly answer: { subscription: string; redriven: number; discarded: number }[];
  };
  readonly records: {
    readonly ask: { readonly topic: string; readonly at: number };
    readonly answer: { readonly subscription: string; readonly body: Uint8Array }[];
  };
}

export type QuestionName = keyof StoreQuestions;
