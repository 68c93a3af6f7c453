import type { ClassWatermark, GapReason } from "@fleetmesh/core";
import type { SqliteConnection, SqliteStatement } from "./sqlite-connection.ts";

/** The counters of one class, as the row in `class` has them after the last commit. */
export interface ClassState {
  readonly rank: number;
  produced: number;
  queuedBytes: number;
  confirmed: ClassWatermark;
  gaps: Record<GapReason, number>;
}

/** The number that stands for a reason on disk. Never reorder. */
export const gapReasons: readonly GapReason[] = ["evicted", "expired", "damaged"];

/** Events that wait above the watermark: what is neither confirmed nor a gap. */
export function queuedEvents(state: ClassState): number {
  const { evicted, expired, damaged } = state.gaps;
  return state.produced - state.confirmed.sequence - evicted - expired - damaged;
}

type ClassRow = Readonly<Record<string, number>> & { readonly rank: number };

export class ClassStates {
  readonly #all: SqliteStatement;
  readonly #update: SqliteStatement;
  #states: ClassState[] = [];

  constructor(db: SqliteConnection) {
    this.#all = db.prepare("SELECT * FROM class ORDER BY rank");
    this.#update = db.prepare(
      `UPDATE class SET produced = ?, queued_bytes = ?, sequence = ?, stored = ?, rejected = ?, evicted = ?,
       expired = ?, damaged = ?, gap_evicted = ?, gap_expired = ?, gap_damaged = ? WHERE rank = ?`,
    );
    this.load();
  }

  /** Forgets what was changed in memory since the last commit. */
  load(): void {
    this.#states = this.#all.all().map((row) => stateOf(row as ClassRow));
  }

  get all(): readonly ClassState[] {
    return this.#states;
  }

  of(rank: number): ClassState {
    const state = this.#states[rank];
    if (!state) throw new RangeError(`There is no class of rank ${rank}`);
    return state;
  }

  /** Writes one class's counters; within the transaction that changed what they count. */
  save(state: ClassState): void {
    const { produced, queuedBytes, confirmed, gaps, rank } = state;
    const { sequence, stored, rejected, evicted, expired, damaged } = confirmed;
    const counts = [sequence, stored, rejected, evicted, expired, damaged];
    const gapCounts = [gaps.evicted, gaps.expired, gaps.damaged];
    this.#update.run(produced, queuedBytes, ...counts, ...gapCounts, rank);
  }
}

function stateOf(row: ClassRow): ClassState {
  const of = (name: string): number => row[name] ?? 0;
  return {
    rank: row.rank,
    produced: of("produced"),
    queuedBytes: of("queued_bytes"),
    confirmed: {
      sequence: of("sequence"),
      stored: of("stored"),
      rejected: of("rejected"),
      evicted: of("evicted"),
      expired: of("expired"),
      damaged: of("damaged"),
    },
    gaps: {
      evicted: of("gap_evicted"),
      expired: of("gap_expired"),
      damaged: of("gap_damaged"),
    },
  };
}
