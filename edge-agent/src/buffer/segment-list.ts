import type { BlockEntry, GapReason, Segment } from "@fleetmesh/core";
import { mergeTopics, type TopicCounts } from "./gap-topics.ts";

export interface GapPiece {
  readonly first: number;
  readonly last: number;
  readonly reason: GapReason;
  readonly topics: TopicCounts;
}

/** Puts events and gaps that come in order of sequence together to segments, joining neighbours of one kind. */
export class SegmentList {
  readonly #segments: Segment[] = [];
  #entries: BlockEntry[] = [];
  #gap: GapPiece | undefined;

  event(entry: BlockEntry): void {
    this.#closeGap();
    this.#entries.push(entry);
  }

  gap(piece: GapPiece): void {
    this.#closeEvents();
    const open = this.#gap;
    if (open?.reason === piece.reason) {
      const topics = mergeTopics(open.topics, piece.topics);
      this.#gap = { first: open.first, last: piece.last, reason: open.reason, topics };
      return;
    }
    this.#closeGap();
    this.#gap = piece;
  }

  expired(entry: BlockEntry): void {
    const { sequence, topic } = entry;
    this.gap({ first: sequence, last: sequence, reason: "expired", topics: { [topic]: 1 } });
  }

  finish(): Segment[] {
    this.#closeEvents();
    this.#closeGap();
    return this.#segments;
  }

  #closeEvents(): void {
    const first = this.#entries[0];
    if (!first) return;
    this.#segments.push({ kind: "events", first: first.sequence, entries: this.#entries });
    this.#entries = [];
  }

  #closeGap(): void {
    if (this.#gap) this.#segments.push({ kind: "gap", ...this.#gap });
    this.#gap = undefined;
  }
}
