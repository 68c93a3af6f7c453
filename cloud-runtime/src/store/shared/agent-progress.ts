import { MeshError, type ClassWatermark } from "@fleetmesh/core";
import type { AgentAppend, AgentRun } from "../event-store.ts";

/** A stretch of an agent's sequences that counts into one field of the watermark. */
export interface Span {
  readonly counts: "stored" | "rejected" | "evicted" | "expired" | "damaged";
  readonly first: number;
  readonly last: number;
}

export interface Progress {
  readonly outcome: "stored" | "duplicate" | "ahead";
  readonly watermark: ClassWatermark;
  /** Sequences up to here were handled before: their events and rejections are dropped. */
  readonly known: number;
  /** Events and rejections that were handled before, for the ledger. */
  readonly duplicates: number;
  /** What was new, by field of the watermark. */
  readonly added: Readonly<Record<Span["counts"], number>>;
}

/** The append as spans, proved to cover first..last in order and without a hole; WIRE_INVALID when it does not. */
export function spansOf(append: AgentAppend): Span[] {
  const spans: Span[] = [];
  let next = append.first;
  for (const run of append.runs) {
    if (run.kind === "events" && run.entries.length === 0) continue;
    const span = spanOf(run, next);
    if (span.first !== next || span.last < span.first) throw uncovered(next);
    spans.push(span);
    next = span.last + 1;
  }
  if (append.first < 1 || next !== append.last + 1 || spans.length === 0) throw uncovered(next);
  return spans;
}

function spanOf(run: AgentRun, next: number): Span {
  if (run.kind === "gap") return { counts: run.reason, first: run.first, last: run.last };
  if (run.kind === "rejected")
    return { counts: "rejected", first: run.entry.sequence, last: run.entry.sequence };
  let last = next - 1;
  for (const entry of run.entries) {
    if (entry.sequence !== last + 1) throw uncovered(last + 1);
    last = entry.sequence;
  }
  return { counts: "stored", first: next, last };
}

function uncovered(sequence: number): MeshError {
  return new MeshError(
    "WIRE_INVALID",
    `The batch does not say what became of sequence ${sequence}`,
  );
}

/** What an append of these spans does to a watermark. Changes nothing by itself. */
export function progressOf(watermark: ClassWatermark, spans: readonly Span[]): Progress {
  const added = { stored: 0, rejected: 0, evicted: 0, expired: 0, damaged: 0 };
  const known = watermark.sequence;
  const nothing = { watermark, known, duplicates: 0, added };
  const first = spans[0]?.first ?? 0;
  if (first > known + 1) return { outcome: "ahead", ...nothing };
  let duplicates = 0;
  for (const span of spans) {
    const fresh = Math.max(0, span.last - Math.max(span.first, known + 1) + 1);
    added[span.counts] += fresh;
    if (span.counts === "stored" || span.counts === "rejected")
      duplicates += span.last - span.first + 1 - fresh;
  }
  const last = spans.at(-1)?.last ?? 0;
  if (last <= known) return { outcome: "duplicate", ...nothing, duplicates };
  const advanced = {
    sequence: last,
    stored: watermark.stored + added.stored,
    rejected: watermark.rejected + added.rejected,
    evicted: watermark.evicted + added.evicted,
    expired: watermark.expired + added.expired,
    damaged: watermark.damaged + added.damaged,
  };
  return { outcome: "stored", watermark: advanced, known, duplicates, added };
}
