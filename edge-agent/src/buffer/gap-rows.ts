import type { GapReason } from "@fleetmesh/core";
import { rowId } from "./row-id.ts";
import { gapReasons } from "./class-state.ts";
import { mergeTopics, shareOfTopics, type TopicCounts } from "./gap-topics.ts";
import type { SqliteConnection, SqliteStatement } from "./sqlite-connection.ts";
import type { GapPiece } from "./segment-list.ts";

interface GapRow {
  readonly id: number;
  readonly last: number;
  readonly reason: number;
  readonly topics: string;
}

/** The table of gaps: neighbours of one reason are one row, so that it stays small however much is evicted. */
export class GapRows {
  readonly #insert: SqliteStatement;
  readonly #delete: SqliteStatement;
  readonly #before: SqliteStatement;
  readonly #from: SqliteStatement;

  constructor(db: SqliteConnection) {
    this.#insert = db.prepare("INSERT INTO gap (id, last, reason, topics) VALUES (?, ?, ?, ?)");
    this.#delete = db.prepare("DELETE FROM gap WHERE id = ?");
    this.#before = db.prepare(
      "SELECT * FROM gap WHERE id >= ? AND id <= ? ORDER BY id DESC LIMIT 1",
    );
    this.#from = db.prepare("SELECT * FROM gap WHERE id >= ? AND id <= ? ORDER BY id LIMIT 1");
  }

  /** The gap that covers the sequence, or the next one above it. */
  at(rank: number, sequence: number): GapPiece | undefined {
    const before = this.#lastUpTo(rank, sequence);
    if (before && before.last >= sequence) return before;
    const [low, high] = [rowId(rank, sequence), rowId(rank + 1, 0) - 1];
    return pieceOf(rank, this.#from.get(low, high) as GapRow | undefined);
  }

  /** Adds a gap, joined with its neighbours of the same reason. */
  add(rank: number, gap: GapPiece): void {
    let { first, last, topics } = gap;
    const before = this.#lastUpTo(rank, first - 1);
    if (before && before.last === first - 1 && before.reason === gap.reason) {
      this.#delete.run(rowId(rank, before.first));
      first = before.first;
      topics = mergeTopics(before.topics, topics);
    }
    const id = rowId(rank, last + 1);
    const behind = pieceOf(rank, this.#from.get(id, id) as GapRow | undefined);
    if (behind?.reason === gap.reason) {
      this.#delete.run(id);
      last = behind.last;
      topics = mergeTopics(topics, behind.topics);
    }
    this.#write(rank, { first, last, reason: gap.reason, topics });
  }

  /** Removes what lies at or below the watermark and returns how many sequences of each reason that were. */
  removeUpTo(rank: number, watermark: number): Record<GapReason, number> {
    const removed: Record<GapReason, number> = { evicted: 0, expired: 0, damaged: 0 };
    for (;;) {
      const gap = pieceOf(
        rank,
        this.#from.get(rowId(rank, 0), rowId(rank, watermark)) as GapRow | undefined,
      );
      if (!gap) return removed;
      this.#delete.run(rowId(rank, gap.first));
      removed[gap.reason] += Math.min(gap.last, watermark) - gap.first + 1;
      if (gap.last <= watermark) continue;
      const share = (gap.last - watermark) / (gap.last - gap.first + 1);
      const topics = shareOfTopics(gap.topics, share);
      this.#write(rank, { first: watermark + 1, last: gap.last, reason: gap.reason, topics });
    }
  }

  #lastUpTo(rank: number, sequence: number): GapPiece | undefined {
    const row = this.#before.get(rowId(rank, 0), rowId(rank, sequence)) as GapRow | undefined;
    return pieceOf(rank, row);
  }

  #write(rank: number, gap: GapPiece): void {
    const reason = gapReasons.indexOf(gap.reason);
    this.#insert.run(rowId(rank, gap.first), gap.last, reason, JSON.stringify(gap.topics));
  }
}

function pieceOf(rank: number, row: GapRow | undefined): GapPiece | undefined {
  if (!row) return undefined;
  const first = row.id - rowId(rank, 0);
  const reason = gapReasons[row.reason] ?? "damaged";
  return { first, last: row.last, reason, topics: parseTopics(row.topics) };
}

/** Topic counts are a courtesy: text that does not parse costs them, never the gap. */
function parseTopics(text: string): TopicCounts {
  try {
    return JSON.parse(text) as TopicCounts;
  } catch {
    return {};
  }
}
