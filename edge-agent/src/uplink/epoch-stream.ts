import {
  catalogue,
  emptyWatermark,
  eventClasses,
  type AgentAck,
  type ClassWatermark,
  type EventClass,
  type Logger,
  type WireHello,
} from "@fleetmesh/core";
import type { BufferStats, EventBuffer } from "../buffer/buffer.ts";
import { ClassLane } from "./class-lane.ts";
import { foreignTail } from "./foreign-tail.ts";
import type { BufferMemory } from "./lane-memory.ts";
import type { UplinkObserver } from "./uplink-counts.ts";
import type { UplinkLimits } from "./uplink-limits.ts";

export interface Refusal {
  readonly code: string;
  readonly reason: string;
}

export interface EpochStreamOptions {
  readonly limits: UplinkLimits;
  readonly logger: Logger;
  readonly observer: UplinkObserver;
  readonly memory: BufferMemory;
  /** Only what takes appends may not be behind the region: what is drained has a copy somewhere that was ahead. */
  readonly isCurrent: boolean;
}

/** `silent`: refused before, not asked again yet. `greeting`: the hello is out, the answer not in. */
export type EpochState = "silent" | "greeting" | "live" | "refused";

type Watermarks = Partial<Record<EventClass, ClassWatermark>>;

/** One buffer's epoch on one connection: its hello, its lanes, and what the region said of it. */
export class EpochStream {
  readonly buffer: EventBuffer;
  readonly lanes: readonly ClassLane[];
  state: EpochState = "silent";
  /** When the hello was sent, monotonic; undefined when it was answered or never sent. */
  greetedMs: number | undefined;
  readonly #options: EpochStreamOptions;
  readonly #confirmed: Readonly<Record<EventClass, number>>;
  #pending: Watermarks = {};
  #flushing: Promise<void> | undefined;

  static async open(buffer: EventBuffer, options: EpochStreamOptions): Promise<EpochStream> {
    return new EpochStream(buffer, await buffer.stats(), options);
  }

  private constructor(buffer: EventBuffer, { classes }: BufferStats, options: EpochStreamOptions) {
    const { limits, memory } = options;
    this.buffer = buffer;
    this.#options = options;
    this.lanes = eventClasses.map(
      (name) => new ClassLane(buffer, name, { stats: classes[name], limits, memory: memory[name] }),
    );
    this.#confirmed = {
      critical: classes.critical.confirmed.sequence,
      normal: classes.normal.confirmed.sequence,
      bulk: classes.bulk.confirmed.sequence,
    };
  }

  greet(nowMs: number, wallMs: number): WireHello {
    this.state = "greeting";
    this.greetedMs = nowMs;
    const { agentId, epoch } = this.buffer;
    const classes: WireHello["classes"] = Object.fromEntries(
      this.lanes.map((lane) => [
        lane.eventClass,
        { oldest: lane.handled + 1, next: lane.knowable + 1 },
      ]),
    );
    return { kind: "hello", agentId, epoch, classes, sentMs: wallMs };
  }

  /** Why the region's word cannot be about this buffer; asked of an answer to a hello before it is applied. */
  async foreign(ack: AgentAck, nowMs: number | undefined): Promise<Refusal | undefined> {
    for (const { eventClass, handled } of this.lanes) {
      const refusal = await foreignTail(this.buffer, ack, { eventClass, handled, nowMs });
      if (refusal !== undefined) return refusal;
    }
    return undefined;
  }

  lane(eventClass: EventClass): ClassLane | undefined {
    return this.lanes.find((lane) => lane.eventClass === eventClass);
  }

  /** Takes the region's word. Returns why this epoch cannot go on, when it cannot. */
  apply(ack: AgentAck, nowMs: number): Refusal | undefined {
    const refusal = ack.refused ?? this.#beyondUs(ack.watermarks);
    if (refusal !== undefined) {
      this.state = "refused";
      return refusal;
    }
    const isAnswer = this.state !== "live";
    this.state = "live";
    this.greetedMs = undefined;
    for (const lane of this.lanes) this.#applyTo(lane, ack, { isAnswer, nowMs });
    this.#acknowledge(ack.watermarks);
    return undefined;
  }

  /** Resolves when the buffer knows all that the region confirmed so far. */
  async settled(): Promise<void> {
    await this.#flushing;
  }

  #applyTo(lane: ClassLane, ack: AgentAck, now: { isAnswer: boolean; nowMs: number }): void {
    const named = ack.watermarks[lane.eventClass];
    // An answer to a hello names all that the region knows: of a class that it does not name it has nothing, or nothing left.
    const watermark = named ?? (now.isAnswer ? emptyWatermark : undefined);
    const isRewind = ack.rewind.includes(lane.eventClass);
    if (watermark !== undefined && (now.isAnswer || isRewind)) this.#noteLoss(lane, watermark);
    if (now.isAnswer) lane.resync(watermark);
    else if (watermark !== undefined) lane.confirm(watermark);
    if (isRewind && lane.rewind(now.nowMs, watermark)) this.#options.observer.count("rewinds", 1);
  }

  /** The region knows sequences that this buffer never gave out: it is an old copy, and would use them a second time. */
  #beyondUs(watermarks: Watermarks): Refusal | undefined {
    if (!this.#options.isCurrent) return undefined;
    for (const lane of this.lanes) {
      const known = watermarks[lane.eventClass]?.sequence ?? 0;
      if (known <= lane.knowable) continue;
      const reason = `The region has ${lane.eventClass} up to ${known}, this buffer sent ${lane.knowable} at most: another one uses its numbers`;
      return { code: catalogue.AGENT_CLONED.code, reason };
    }
    return undefined;
  }

  #noteLoss(lane: ClassLane, { sequence }: ClassWatermark): void {
    const before = Math.min(lane.handled, this.#confirmed[lane.eventClass]);
    if (sequence >= before) return;
    const { agentId, epoch } = this.buffer;
    const { eventClass } = lane;
    this.#options.observer.count("lost", before - sequence);
    this.#options.logger.error(
      { agentId, epoch, class: eventClass, confirmedOnce: before, regionHas: sequence },
      "The region lost events that it had confirmed; what is still here is sent again, the rest is reported as damaged.",
    );
  }

  /** One write at a time; what comes meanwhile is merged, so that a fast drain costs few of them. */
  #acknowledge(watermarks: Watermarks): void {
    for (const name of eventClasses) {
      const next = watermarks[name];
      if (next && next.sequence >= (this.#pending[name]?.sequence ?? 0)) this.#pending[name] = next;
    }
    if (Object.keys(this.#pending).length > 0) this.#flushing ??= this.#flush();
  }

  async #flush(): Promise<void> {
    // Not in the caller's turn: `#flushing` must be set before this ends.
    await Promise.resolve();
    while (Object.keys(this.#pending).length > 0) {
      const watermarks = this.#pending;
      this.#pending = {};
      try {
        await this.buffer.acknowledge(watermarks);
      } catch (error) {
        // Harmless: the next acknowledgement covers it, and the next connection's resync brings it again.
        this.#options.logger.warn({ error }, "The buffer did not note the region's watermark.");
      }
    }
    this.#flushing = undefined;
  }
}
