import {
  classRank,
  type BlockEntry,
  type ClassWatermark,
  type EventClass,
  type Segment,
  type WireBatch,
} from "@fleetmesh/core";
import type { ClassStats, EventBuffer } from "../buffer/buffer.ts";
import { weigh, type BatchWeight } from "./batch-weight.ts";
import { closeHoles } from "./close-holes.ts";
import { cutOut } from "./cut-out.ts";
import type { LaneMemory } from "./lane-memory.ts";
import type { UplinkLimits } from "./uplink-limits.ts";

/** One batch on its way: sent, perhaps taken (PUBACK), not yet confirmed by a watermark. */
export interface SentBatch {
  readonly last: number;
  readonly eventCount: number;
  /** Kept while batches go one at a time: the region may refuse it whole. */
  readonly batch: WireBatch | undefined;
  readonly sentMs: number;
  takenMs: number | undefined;
}

export interface LaneBatch {
  readonly batch: WireBatch;
  readonly weight: BatchWeight;
  /** There is more behind it: a backlog, to be sent at full batches without waiting. */
  readonly isBacklog: boolean;
}

/** After a refusal: one batch at a time from here, until the watermark passes it. */
interface Recovery {
  readonly from: number;
  delayMs: number;
  /** Undefined while the one batch is on its way. */
  probeMs: number | undefined;
  probe: SentBatch | undefined;
}

const unconfirmedMax = 256;
const probeDelayMsMin = 200;
const probeDelayMsMax = 5_000;

/**
 * One class of one epoch on one connection: what to send next, in order and without a hole, and from where again when the
 * region refused it or said nothing. Nothing is kept here that the buffer does not have; a lane lives as long as its connection.
 */
export class ClassLane {
  readonly eventClass: EventClass;
  readonly rank: number;
  readonly #buffer: EventBuffer;
  readonly #limits: UplinkLimits;
  /** The region has handled everything up to here. */
  #handled: number;
  /** Everything up to here is handled or on its way. */
  #sent: number;
  /** The highest that was ever sent or confirmed on this connection: anything up to here that is sent is a resend. */
  #sentHighest: number;
  readonly #memory: LaneMemory;
  /** The region said so once: up to here events may be deleted. */
  #confirmedOnce: number;
  #mayHaveMore = true;
  #readyMs = -Infinity;
  #unconfirmed: SentBatch[] = [];
  #recovery: Recovery | undefined;
  /** Grows when what was read ahead no longer fits. */
  #generation = 0;
  #ahead: { readonly after: number; readonly segments: Promise<Segment[]> } | undefined;

  constructor(buffer: EventBuffer, eventClass: EventClass, at: LaneStart) {
    this.eventClass = eventClass;
    this.rank = classRank(eventClass);
    this.#buffer = buffer;
    this.#limits = at.limits;
    this.#handled = at.stats.confirmed.sequence;
    this.#confirmedOnce = at.stats.confirmed.sequence;
    this.#memory = at.memory;
    this.#sent = this.#handled;
    this.#sentHighest = this.#handled;
  }

  get handled(): number {
    return this.#handled;
  }

  /** The highest sequence that the region can know. */
  get knowable(): number {
    return this.#memory.knowable;
  }

  /** Batches go one at a time here, and on the whole connection, until the one that is refused is found. */
  get isCautious(): boolean {
    return this.#memory.isCautious;
  }

  get unconfirmedCount(): number {
    return this.#unconfirmed.length;
  }

  /** When the oldest batch that was taken but not confirmed was taken. */
  get oldestTakenMs(): number | undefined {
    return this.#unconfirmed.find(({ takenMs }) => takenMs !== undefined)?.takenMs;
  }

  /** From the answer to the hello. Below what was once confirmed, the region has lost events. */
  resync(watermark: ClassWatermark | undefined): void {
    if (watermark === undefined) return;
    this.#memory.passed(watermark.sequence);
    this.#handled = watermark.sequence;
    this.#startFrom(watermark.sequence);
  }

  /** The buffer grew. */
  grew(nowMs: number): void {
    if (!this.#mayHaveMore) this.#readyMs = nowMs + this.#limits.lingerMs;
    this.#mayHaveMore = true;
  }

  /** When a batch may be taken; Infinity when something else must happen first. */
  readyMs(): number {
    if (!this.#mayHaveMore) return Infinity;
    if (this.#recovery !== undefined) return this.#recovery.probeMs ?? Infinity;
    const countMax = this.isCautious ? 1 : unconfirmedMax;
    return this.#unconfirmed.length < countMax ? this.#readyMs : Infinity;
  }

  /** The next batch, or undefined when there is none, or when a rewind came between. Throws what the buffer's read throws. */
  async take(nowMs: number, expiryMs: number | undefined): Promise<LaneBatch | undefined> {
    const after = this.#sent;
    const generation = this.#generation;
    // What was read ahead may be older than what has come since: only an empty fresh read means that there is no more.
    this.#mayHaveMore = this.#ahead?.after === after;
    const read = await this.#read(after, expiryMs);
    if (generation !== this.#generation) {
      this.#mayHaveMore = true;
      return undefined;
    }
    const whole = closeHoles(after, read, this.#confirmedOnce);
    const { dropped } = this.#memory;
    const segments = dropped.size === 0 ? whole : cutOut(whole, dropped);
    const last = lastOf(segments);
    if (last === undefined) {
      if (!this.#mayHaveMore) this.#recovery = undefined; // Nothing is left that could be refused.
      return undefined;
    }
    const weight = weigh(segments);
    const isBacklog = this.#isFull(weight);
    this.#mayHaveMore = true;
    this.#readyMs = isBacklog ? -Infinity : nowMs + this.#limits.lingerMs;
    if (isBacklog && this.#recovery === undefined && !this.isCautious)
      this.#readAhead(last, expiryMs);
    const { agentId, epoch } = this.#buffer;
    const { eventClass } = this;
    const first = after + 1;
    const batch: WireBatch = { kind: "batch", agentId, epoch, eventClass, first, last, segments };
    return { batch, weight, isBacklog };
  }

  /** Something failed between `take` and `sent`: try again later. */
  postpone(untilMs: number): void {
    this.#ahead = undefined;
    this.#mayHaveMore = true;
    this.#readyMs = untilMs;
  }

  /**
   * A batch cannot be made, or was refused whole. Smaller ones from now on; returns its event when there is but one.
   * The event goes out as a gap once it is dropped.
   */
  narrow(batch: WireBatch): BlockEntry | undefined {
    const entries = entriesOf(batch.segments);
    this.#memory.narrow(batch.last, entries.length);
    this.#ahead = undefined;
    this.#mayHaveMore = true;
    this.#readyMs = -Infinity;
    return entries.length === 1 ? entries[0] : undefined;
  }

  drop(sequence: number): void {
    this.#memory.dropped.add(sequence);
    this.#generation += 1;
  }

  /**
   * The region refused a whole message, and nothing is sent on this connection any more. Returns the batch at fault when
   * only one was on its way; otherwise what was is sent again in smaller pieces, one at a time.
   */
  suspect(): WireBatch | undefined {
    const outstanding = this.#unconfirmed.filter(({ takenMs }) => takenMs === undefined);
    const [first] = outstanding;
    if (first === undefined || first.batch !== undefined) return first?.batch;
    const eventCount = Math.max(...outstanding.map((sent) => sent.eventCount));
    this.#memory.narrow(this.#sentHighest, eventCount);
    return undefined;
  }

  /** Returns whether any of it had been sent before. */
  sent(
    { batch, weight: { eventCount } }: LaneBatch,
    nowMs: number,
  ): { readonly sent: SentBatch; readonly isResend: boolean } {
    const kept = this.isCautious ? batch : undefined;
    const { last } = batch;
    const sent: SentBatch = { last, eventCount, batch: kept, sentMs: nowMs, takenMs: undefined };
    this.#memory.sent(last);
    const isResend = batch.first <= this.#sentHighest;
    this.#sent = batch.last;
    this.#sentHighest = Math.max(this.#sentHighest, batch.last);
    this.#unconfirmed.push(sent);
    if (this.#recovery !== undefined) {
      this.#recovery.probe = sent;
      this.#recovery.probeMs = undefined;
    }
    return { sent, isResend };
  }

  /** The region took it; its word on what became of it is still to come. */
  taken(sent: SentBatch, nowMs: number): void {
    sent.takenMs = nowMs;
    const recovery = this.#recovery;
    if (recovery?.probe !== sent) return;
    // Taken and yet refused again, as far as we know: once more from the same place, later each time.
    this.#sent = recovery.from;
    this.#generation += 1;
    this.#mayHaveMore = true;
    recovery.probe = undefined;
    recovery.probeMs = nowMs + recovery.delayMs;
    recovery.delayMs = Math.min(probeDelayMsMax, recovery.delayMs * 2);
  }

  /** The region has handled everything up to the watermark. */
  confirm({ sequence }: ClassWatermark): void {
    if (sequence <= this.#handled) return;
    this.#handled = sequence;
    this.#memory.passed(sequence);
    this.#confirmedOnce = Math.max(this.#confirmedOnce, sequence);
    this.#unconfirmed = this.#unconfirmed.filter(({ last }) => last > sequence);
    if (this.#recovery !== undefined && sequence > this.#recovery.from) this.#recovery = undefined;
    if (sequence > this.#sent) this.#startFrom(sequence);
  }

  /**
   * The region refused batches beyond the watermark. The other batches in flight will be refused too, each with a word of
   * its own: those find the lane recovering already and change nothing.
   */
  rewind(nowMs: number, watermark: ClassWatermark | undefined): boolean {
    const from = watermark?.sequence ?? this.#handled;
    if (this.#recovery !== undefined && this.#recovery.from <= from) return false;
    this.#handled = from;
    this.#unconfirmed = [];
    this.#recovery = { from, delayMs: probeDelayMsMin, probeMs: nowMs, probe: undefined };
    this.#startFrom(from);
    return true;
  }

  #startFrom(sequence: number): void {
    this.#sent = sequence;
    this.#sentHighest = Math.max(this.#sentHighest, sequence);
    this.#generation += 1;
    this.#ahead = undefined;
    this.#mayHaveMore = true;
    this.#readyMs = -Infinity;
  }

  #isFull({ eventCount, weight }: BatchWeight): boolean {
    return (
      2 * eventCount >= this.#limits.batchEventsMax || 2 * weight >= this.#limits.batchBytesMax
    );
  }

  #read(after: number, nowMs: number | undefined): Promise<Segment[]> {
    const ahead = this.#ahead;
    this.#ahead = undefined;
    if (ahead?.after === after) return ahead.segments;
    const { batchEventsMax, batchBytesMax: bytesMax } = this.#limits;
    const countMax = this.#memory.countMax(batchEventsMax);
    return this.#buffer.read({ eventClass: this.eventClass, after, countMax, bytesMax, nowMs });
  }

  /** One batch at most is read ahead, so that disk and encoder work at the same time. */
  #readAhead(after: number, nowMs: number | undefined): void {
    const segments = this.#read(after, nowMs);
    segments.catch(() => undefined); // Seen by whoever takes it; nobody may.
    this.#ahead = { after, segments };
  }
}

export interface LaneStart {
  readonly stats: ClassStats;
  readonly limits: UplinkLimits;
  readonly memory: LaneMemory;
}

function entriesOf(segments: readonly Segment[]): BlockEntry[] {
  return segments.flatMap((segment) => (segment.kind === "events" ? segment.entries : []));
}

function lastOf(segments: readonly Segment[]): number | undefined {
  const segment = segments.at(-1);
  if (segment === undefined) return undefined;
  return segment.kind === "gap" ? segment.last : segment.first + segment.entries.length - 1;
}
