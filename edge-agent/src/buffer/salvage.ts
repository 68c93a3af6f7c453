import { BlockReader, emptyWatermark, eventClasses } from "@fleetmesh/core/base";
import { guardOf, type BlockRow } from "./block-rows.ts";
import { rowId } from "./row-id.ts";
import { ClassStates, type ClassState } from "./class-state.ts";
import { GapRows } from "./gap-rows.ts";
import { ReadableIds } from "./readable-ids.ts";
import { copyRepeats } from "./repeat-rows.ts";
import type { SqliteConnection, SqliteStatement, SqliteValue } from "./sqlite-connection.ts";
import { recountTopics, type TopicRow } from "./topic-rows.ts";

export interface SalvageReport {
  readonly events: number;
  readonly blocks: number;
  /** Events of the blocks that did not read back, and of stretches of which nothing is left. */
  readonly damagedEvents: number;
}

const rowsPerCommit = 64;
const blockColumns =
  "id, count, bytes, guard, received_min, received_max, expires_max, topics, expires, body";

/**
 * Copies what is readable of a damaged file into a fresh one under its old identity, and counts what is not as damaged
 * gaps. Goes on where an earlier run stopped: what is in the target already is not read again.
 */
export class Salvage {
  readonly #source: SqliteConnection;
  readonly #target: SqliteConnection;
  readonly #insertBlock: SqliteStatement;
  readonly #insertGap: SqliteStatement;

  constructor(source: SqliteConnection, target: SqliteConnection) {
    this.#source = source;
    this.#target = target;
    const marks = blockColumns.replace(/\w+/g, "?");
    this.#insertBlock = target.prepare(
      `INSERT OR IGNORE INTO block (${blockColumns}) VALUES (${marks})`,
    );
    this.#insertGap = target.prepare("INSERT OR IGNORE INTO gap VALUES (?, ?, ?, ?)");
  }

  run(): SalvageReport {
    const states = new ClassStates(this.#target);
    this.#copyClasses(states);
    let report: SalvageReport = { events: 0, blocks: 0, damagedEvents: 0 };
    for (const state of states.all) {
      this.#copyGaps(state.rank);
      this.#copyBlocks(state);
      const one = this.#account(state);
      states.save(state);
      report = {
        events: report.events + one.events,
        blocks: report.blocks + one.blocks,
        damagedEvents: report.damagedEvents + one.damagedEvents,
      };
    }
    this.#countTopics();
    copyRepeats(this.#source, this.#target);
    return report;
  }

  #countTopics(): void {
    let lost: TopicRow[] = [];
    try {
      lost = this.#source.prepare("SELECT * FROM topic").all() as TopicRow[];
    } catch {
      // Which topics the lost events had is a courtesy.
    }
    this.#target.exec("BEGIN IMMEDIATE");
    recountTopics(this.#target, lost);
    this.#target.exec("COMMIT");
  }

  /** A class whose counters do not read starts from nothing: what the region has already, it drops by number. */
  #copyClasses(states: ClassStates): void {
    const copied = new Map<number, ClassState>();
    try {
      for (const state of new ClassStates(this.#source).all) copied.set(state.rank, state);
    } catch {
      // Nothing of it is needed to find the blocks.
    }
    for (const state of states.all) {
      const known = copied.get(state.rank);
      if (!known || !isSound(known)) continue;
      state.produced = known.produced;
      state.confirmed = known.confirmed;
    }
  }

  #copyGaps(rank: number): void {
    const range = { low: rowId(rank, 0), high: rowId(rank + 1, 0) };
    this.#eachReadable("gap", range, (whole, id) => {
      const row = whole as Record<string, SqliteValue>;
      this.#insertGap.run(id, row["last"] ?? 0, row["reason"] ?? 0, row["topics"] ?? "{}");
    });
  }

  #copyBlocks(state: ClassState): void {
    const { rank } = state;
    const last = this.#target
      .prepare("SELECT max(id) AS id FROM block WHERE id >= ? AND id < ?")
      .get(rowId(rank, 0), rowId(rank + 1, 0)) as { id: number | null };
    const low = last.id === null ? rowId(rank, 0) : last.id + 1;
    this.#eachReadable("block", { low, high: rowId(rank + 1, 0) }, (whole, id) => {
      const row = whole as BlockRow;
      const isOld = id + row.count - 1 <= rowId(rank, state.confirmed.sequence);
      if (isOld || !isWhole(row)) return;
      const { count, bytes, guard, topics, expires, body } = row;
      const times = [row.received_min, row.received_max, row.expires_max];
      this.#insertBlock.run(id, count, bytes, guard, ...times, topics, expires, body);
    });
  }

  #eachReadable(
    table: "block" | "gap",
    range: { readonly low: number; readonly high: number },
    copy: (row: unknown, id: number) => void,
  ): void {
    const whole = this.#source.prepare(`SELECT * FROM ${table} WHERE id = ?`);
    let count = 0;
    this.#target.exec("BEGIN");
    for (const id of new ReadableIds(this.#source, table).between(range.low, range.high)) {
      const row = readOrUndefined(whole, id);
      if (row !== undefined) copy(row, id);
      count += 1;
      if (count % rowsPerCommit === 0) this.#target.exec("COMMIT; BEGIN");
    }
    this.#target.exec("COMMIT");
  }

  /** Fills every hole above the watermark with a damaged gap, in one transaction, and counts. */
  #account(state: ClassState): SalvageReport {
    const { rank } = state;
    const gaps = new GapRows(this.#target);
    state.confirmed = { ...emptyWatermark, ...state.confirmed };
    state.gaps = { evicted: 0, expired: 0, damaged: 0 };
    state.queuedBytes = 0;
    let events = 0;
    let blocks = 0;
    let next = state.confirmed.sequence + 1;
    const pieces = this.#pieces(rank);
    this.#target.exec("BEGIN IMMEDIATE");
    gaps.removeUpTo(rank, state.confirmed.sequence);
    const damaged = (end: number): void => {
      if (end < next) return;
      gaps.add(rank, { first: next, last: end, reason: "damaged", topics: {} });
      state.gaps.damaged += end - next + 1;
    };
    for (const piece of pieces) {
      const first = Math.max(piece.first, state.confirmed.sequence + 1);
      if (first < next || piece.last < next) {
        this.#drop(rank, piece);
        continue;
      }
      damaged(first - 1);
      const count = piece.last - first + 1;
      if (piece.reason) state.gaps[piece.reason] += count;
      else {
        events += count;
        blocks += 1;
        state.queuedBytes += piece.bytes;
      }
      next = piece.last + 1;
    }
    damaged(state.produced);
    state.produced = Math.max(state.produced, next - 1);
    new ClassStates(this.#target).save(state);
    this.#target.exec("COMMIT");
    return { events, blocks, damagedEvents: state.gaps.damaged };
  }

  #pieces(rank: number): Piece[] {
    const range = [rowId(rank, 0), rowId(rank + 1, 0)] as const;
    const base = rowId(rank, 0);
    const blocks = this.#target
      .prepare("SELECT id, count, bytes FROM block WHERE id >= ? AND id < ? ORDER BY id")
      .all(...range) as { id: number; count: number; bytes: number }[];
    const gaps = this.#target
      .prepare("SELECT id, last, reason FROM gap WHERE id >= ? AND id < ? ORDER BY id")
      .all(...range) as { id: number; last: number; reason: number }[];
    const pieces: Piece[] = [];
    for (const { id, count, bytes } of blocks)
      pieces.push({ first: id - base, last: id - base + count - 1, bytes, reason: undefined });
    for (const { id, last, reason } of gaps)
      pieces.push({ first: id - base, last, bytes: 0, reason: reasonOf(reason) });
    return pieces.sort((one, other) => one.first - other.first);
  }

  /** A row that lies over another one is worth less than the numbers staying unique. */
  #drop(rank: number, piece: Piece): void {
    const table = piece.reason ? "gap" : "block";
    this.#target.prepare(`DELETE FROM ${table} WHERE id = ?`).run(rowId(rank, piece.first));
  }
}

type Reason = "evicted" | "expired" | "damaged";
interface Piece {
  readonly first: number;
  readonly last: number;
  readonly bytes: number;
  readonly reason: Reason | undefined;
}

const reasons: readonly Reason[] = ["evicted", "expired", "damaged"];
const reasonOf = (number: number): Reason => reasons[number] ?? "damaged";

function readOrUndefined(statement: SqliteStatement, id: number): unknown {
  try {
    return statement.get(id);
  } catch {
    return undefined;
  }
}

function isSound(state: ClassState): boolean {
  const { sequence, stored, rejected, evicted, expired, damaged } = state.confirmed;
  const counts = [state.produced, sequence, stored, rejected, evicted, expired, damaged];
  if (!counts.every((count) => Number.isSafeInteger(count) && count >= 0)) return false;
  const isSummed = stored + rejected + evicted + expired + damaged === sequence;
  return isSummed && sequence <= state.produced && state.rank < eventClasses.length;
}

function isWhole(row: BlockRow): boolean {
  try {
    if (guardOf(row.id, row.count, row.body) !== row.guard) return false;
    return new BlockReader(row.body).count === row.count;
  } catch {
    return false;
  }
}
