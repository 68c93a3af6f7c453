import { classOfRank, emptyWatermark, MeshError, type ClassWatermark } from "@fleetmesh/core/base";
import type { BufferStats, BufferTopics, ClassStats } from "./buffer.ts";
import type { AppendUnit, ReadPiece, ReadQuery } from "./buffer-messages.ts";
import { repeatWindowDefault, type BufferLimits } from "./buffer-options.ts";
import { BlockRows, storedBytes, type BlockHead } from "./block-rows.ts";
import { pageBytes } from "./buffer-schema.ts";
import { rowId } from "./row-id.ts";
import { ClassStates, queuedEvents, type ClassState } from "./class-state.ts";
import { isBlockExpired } from "./expiry.ts";
import { blockCounts } from "./block-topics.ts";
import { GapRows } from "./gap-rows.ts";
import { above } from "./memory-class.ts";
import { PageUse } from "./page-use.ts";
import { RepeatRows } from "./repeat-rows.ts";
import type { SqliteConnection, SqliteStatement } from "./sqlite-connection.ts";
import { topicBacklog } from "./topic-backlog.ts";
import { TopicRows } from "./topic-rows.ts";

export interface BufferFileSettings {
  readonly limits: BufferLimits;
  readonly durability: "full" | "off";
}

/** Rows deleted in one transaction, so that a great acknowledgement does not hold up an append. */
const deleteRowsMax = 256;
/** Rows looked at by one read, whatever has expired among them. */
const readRowsMax = 512;
/**
 * A file with more free pages than this, and so many times more free than used, is given back to the disk bit by bit: what
 * is used has to be moved for it, and while a backlog leaves it is soon gone by itself.
 */
const freePagesMin = 4_096;
const freePagesShare = 4;

/** One open buffer file: all that is stored and counted, synchronously, in transactions. Knows nothing of threads or recovery. */
export class BufferFile {
  readonly repeats: RepeatRows;
  readonly #db: SqliteConnection;
  readonly #settings: BufferFileSettings;
  readonly #states: ClassStates;
  readonly #topics: TopicRows;
  readonly #blocks: BlockRows;
  readonly #gaps: GapRows;
  readonly #pages: PageUse;
  readonly #begin: SqliteStatement;
  readonly #commit: SqliteStatement;
  readonly #acks = new Map<number, ClassWatermark>();
  /** Ranks in which rows at or below the watermark may be left to delete. */
  readonly #deletable = new Set<number>([0, 1, 2]);

  constructor(db: SqliteConnection, settings: BufferFileSettings) {
    this.#db = db;
    this.#settings = settings;
    this.#states = new ClassStates(db);
    this.#topics = new TopicRows(db);
    this.#blocks = new BlockRows(db, this.#topics);
    this.#gaps = new GapRows(db);
    this.#pages = new PageUse(db);
    this.repeats = new RepeatRows(db, settings.limits.repeatWindow ?? repeatWindowDefault);
    this.#begin = db.prepare("BEGIN IMMEDIATE");
    this.#commit = db.prepare("COMMIT");
  }

  /** Stores units in order; false for one that has no room. Throws what SQLite throws, with nothing stored. */
  append(
    units: readonly AppendUnit[],
    nowMs: number | undefined,
    repeats: readonly Uint32Array[] = [],
  ): boolean[] {
    const stored = this.#transaction(() => {
      this.#applyAcks();
      const outcomes = units.map((unit, at) => this.#appendUnit(unit, nowMs, repeats[at]));
      this.#saveAll();
      return outcomes;
    });
    this.#acks.clear();
    return stored;
  }

  /** Takes over identities, without waiting for the disk. */
  remember(identities: Uint32Array): void {
    this.#unsynced(() => this.repeats.addOlder(identities));
  }

  get produced(): readonly number[] {
    return this.#states.all.map((state) => state.produced);
  }

  /** Takes the region's word for a class; the rows go with the next commit. */
  acknowledge(rank: number, watermark: ClassWatermark): void {
    const state = this.#states.of(rank);
    const known = this.#acks.get(rank) ?? state.confirmed;
    if (watermark.sequence <= known.sequence) return;
    if (watermark.sequence > state.produced) {
      const text = `The region has ${watermark.sequence} of a class in which this buffer gave out ${state.produced}`;
      throw new MeshError("BUFFER_DAMAGED", `${text}: the file is an old copy`);
    }
    this.#acks.set(rank, watermark);
  }

  get hasAcks(): boolean {
    return this.#acks.size > 0 || this.#deletable.size > 0;
  }

  /** Writes what was acknowledged, without waiting for the disk: losing it is harmless. */
  flushAcks(): void {
    if (!this.hasAcks) return;
    this.#unsynced(() => {
      this.#applyAcks();
      this.#saveAll();
    });
    this.#acks.clear();
  }

  read(query: ReadQuery): ReadPiece[] {
    const { pieces, expired } = this.#readPieces(query);
    if (expired.length > 0) this.#unsynced(() => this.#expire(query.rank, expired));
    return pieces;
  }

  stats(): Omit<BufferStats, "unavailable"> {
    this.flushAcks();
    const of = (rank: number): ClassStats => this.#classStats(this.#states.of(rank));
    return {
      classes: { critical: of(0), normal: of(1), bulk: of(2) },
      bytes: this.#pages.usedBytes,
      bytesMax: this.#settings.limits.bytesMax,
    };
  }

  /** What waits and what was lost, by topic. */
  topics(): BufferTopics {
    this.flushAcks();
    return topicBacklog(this.#states.all, { blocks: this.#blocks, topics: this.#topics });
  }

  /** Copies the log into the file; TRUNCATE also gives the log's space back and leaves nothing undecided. */
  checkpoint(mode: "PASSIVE" | "TRUNCATE"): void {
    this.#db.pragma(`wal_checkpoint(${mode})`);
  }

  /** Gives up to so many free pages back to the disk. */
  vacuum(pageCount: number): void {
    this.#db.pragma(`incremental_vacuum(${pageCount})`);
  }

  /** Whether so much of the file is free that the disk should have it back. */
  get isLoose(): boolean {
    const { freePages, usedPages } = this.#pages;
    return freePages > freePagesMin && freePages > freePagesShare * usedPages;
  }

  /** One durable write that changes nothing: proves that the disk takes writes. */
  probe(): void {
    this.#transaction(() => this.#states.save(this.#states.of(0)));
  }

  /** Removes what lies above the given counts: an append whose commit's outcome was unknown and which was refused. */
  undoAbove(produced: readonly number[]): void {
    this.#transaction(() => {
      for (const state of this.#states.all) {
        const keep = produced[state.rank] ?? state.produced;
        if (keep >= state.produced) continue;
        for (const head of this.#blocks.above(state.rank, keep)) {
          this.#blocks.delete(head);
          state.queuedBytes -= head.bytes;
        }
        state.produced = keep;
        this.#states.save(state);
      }
      this.#topics.save();
      this.repeats.removeAbove(sum(produced));
    });
  }

  rollback(): void {
    try {
      if (this.#db.inTransaction) this.#db.exec("ROLLBACK");
    } finally {
      this.#states.load();
      this.#topics.load();
      this.repeats.load();
    }
  }

  close(): void {
    this.#db.close();
  }

  #appendUnit(
    unit: AppendUnit,
    nowMs: number | undefined,
    identities: Uint32Array = new Uint32Array(0),
  ): boolean {
    let byteCount = identities.byteLength;
    for (const block of unit) byteCount += storedBytes(block);
    const pageCount = Math.ceil(byteCount / (pageBytes - 4)) + unit.length + 3;
    if (!this.#pages.fits(pageCount, this.#settings.limits.bytesMax)) {
      const rankMin = unit.reduce((most, block) => Math.max(most, block.rank), 0);
      if (!this.#makeRoom(pageCount, { rankMin, nowMs })) return false;
    }
    for (const block of unit) {
      const state = this.#states.of(block.rank);
      this.#blocks.insert(block.rank, state.produced + 1, block);
      state.produced += block.count;
      state.queuedBytes += storedBytes(block);
    }
    this.repeats.add(sum(this.produced), identities);
    return true;
  }

  /** All or nothing: when even the eviction of everything allowed is not enough, nothing is evicted. */
  #makeRoom(
    pageCount: number,
    newcomer: { readonly rankMin: number; readonly nowMs: number | undefined },
  ): boolean {
    const { bytesMax, whenFull } = this.#settings.limits;
    const fits = (): boolean => this.#pages.fits(pageCount, bytesMax);
    while (this.#deletable.size > 0 && !fits()) this.#deleteCovered();
    for (const state of this.#states.all) this.#sweep(state, newcomer.nowMs);
    if (fits()) return true;
    if (whenFull === "reject") return false;
    this.#saveAll();
    this.#db.exec("SAVEPOINT room");
    for (let rank = this.#states.all.length - 1; rank >= newcomer.rankMin; rank -= 1)
      while (!fits() && this.#evictOldest(rank));
    const hasRoom = fits();
    if (!hasRoom) this.#db.exec("ROLLBACK TO room");
    this.#db.exec("RELEASE room");
    if (!hasRoom) {
      this.#states.load();
      this.#topics.load();
    }
    return hasRoom;
  }

  #evictOldest(rank: number): boolean {
    const head = this.#blocks.oldest(rank);
    if (head) this.#toGap(this.#states.of(rank), head, "evicted");
    return head !== undefined;
  }

  /** Blocks at the head of which every event has expired become gaps. */
  #sweep(state: ClassState, nowMs: number | undefined): void {
    for (;;) {
      const head = this.#blocks.oldest(state.rank);
      if (!head || !this.#isAllExpired(head, state.rank, nowMs)) return;
      this.#toGap(state, head, "expired");
    }
  }

  #expire(rank: number, expired: readonly BlockHead[]): void {
    const state = this.#states.of(rank);
    for (const head of expired) this.#toGap(state, head, "expired");
    this.#states.save(state);
    this.#topics.save();
  }

  #toGap(state: ClassState, head: BlockHead, reason: "evicted" | "expired"): void {
    this.#blocks.delete(head);
    state.queuedBytes -= head.bytes;
    const first = head.id - rowId(state.rank, 0);
    const last = first + head.count - 1;
    const watermark = state.confirmed.sequence;
    if (last <= watermark) return;
    const gap = above({ first, last, reason, topics: blockCounts(head.topics) }, watermark);
    this.#gaps.add(state.rank, gap);
    this.#topics.lost(state.rank, reason, gap.topics);
    state.gaps[reason] += gap.last - gap.first + 1;
  }

  #isAllExpired(head: BlockHead, rank: number, nowMs: number | undefined): boolean {
    const eventClass = classOfRank(rank);
    const ttlMs = eventClass && this.#settings.limits.ttlMs?.[eventClass];
    return isBlockExpired(head, ttlMs, nowMs);
  }

  #readPieces(query: ReadQuery): { pieces: ReadPiece[]; expired: BlockHead[] } {
    const { rank, countMax, bytesMax, nowMs } = query;
    const state = this.#states.of(rank);
    const pieces: ReadPiece[] = [];
    const expired: BlockHead[] = [];
    const confirmed = this.#acks.get(rank) ?? state.confirmed;
    let next = Math.max(query.after, confirmed.sequence) + 1;
    let [count, byteCount, rowCount] = [0, 0, 0];
    const takeGapsUpTo = (end: number): void => {
      while (next <= end) {
        const gap = this.#gaps.at(rank, next);
        if (!gap || gap.first > next) throw hole(rank, next);
        pieces.push({ kind: "gap", ...above(gap, next - 1) });
        next = gap.last + 1;
      }
    };
    for (const row of this.#blocks.from(rank, next)) {
      const first = row.id - rowId(rank, 0);
      const last = first + row.count - 1;
      if (last < next) continue;
      if (last > state.produced) break;
      takeGapsUpTo(first - 1);
      if (this.#isAllExpired(row, rank, nowMs)) {
        expired.push(row);
        const gap = { first, last, reason: "expired", topics: blockCounts(row.topics) } as const;
        pieces.push({ kind: "gap", ...above(gap, next - 1) });
      } else {
        const { expires, body } = row;
        pieces.push({ kind: "block", first, count: row.count, expires, body });
        count += last - next + 1;
        byteCount += body.length;
      }
      next = last + 1;
      rowCount += 1;
      if (count >= countMax || byteCount >= bytesMax || rowCount >= readRowsMax)
        return { pieces, expired };
    }
    takeGapsUpTo(state.produced);
    return { pieces, expired };
  }

  #applyAcks(): void {
    for (const [rank, watermark] of this.#acks) {
      const state = this.#states.of(rank);
      const removed = this.#gaps.removeUpTo(rank, watermark.sequence);
      state.gaps.evicted -= removed.evicted;
      state.gaps.expired -= removed.expired;
      state.gaps.damaged -= removed.damaged;
      state.confirmed = watermark;
      this.#deletable.add(rank);
    }
    this.#deleteCovered();
  }

  #saveAll(): void {
    for (const state of this.#states.all) this.#states.save(state);
    this.#topics.save();
  }

  #deleteCovered(): void {
    let left = deleteRowsMax;
    for (const rank of this.#deletable) {
      const state = this.#states.of(rank);
      const { sequence } = state.confirmed;
      const covered = rowId(rank, sequence);
      for (const head of this.#blocks.upTo(rank, sequence, left)) {
        left -= 1;
        if (head.id + head.count - 1 > covered) continue;
        this.#blocks.delete(head);
        state.queuedBytes -= head.bytes;
      }
      if (left <= 0) return;
      this.#deletable.delete(rank);
    }
  }

  #classStats(state: ClassState): ClassStats {
    const { produced, confirmed, queuedBytes, gaps, rank } = state;
    const head = this.#blocks.headFrom(rank, confirmed.sequence + 1);
    return {
      produced,
      confirmed: { ...emptyWatermark, ...confirmed },
      queuedEvents: queuedEvents(state),
      queuedBytes,
      gaps: { ...gaps },
      oldestMs: head?.received_min,
    };
  }

  /** A transaction whose loss is harmless: it reaches the disk with the next append's. */
  #unsynced(work: () => void): void {
    if (this.#settings.durability === "full") this.#db.pragma("synchronous = NORMAL");
    try {
      this.#transaction(work);
    } finally {
      if (this.#settings.durability === "full") this.#db.pragma("synchronous = FULL");
    }
  }

  #transaction<Result>(work: () => Result): Result {
    this.#begin.run();
    try {
      const result = work();
      this.#commit.run();
      return result;
    } catch (error) {
      this.rollback();
      for (const state of this.#states.all) this.#deletable.add(state.rank);
      throw error;
    }
  }
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, one) => total + one, 0);
}

function hole(rank: number, sequence: number): MeshError {
  const text = `Sequence ${sequence} of the class of rank ${rank} is neither stored nor in a gap`;
  return new MeshError("BUFFER_DAMAGED", text);
}
