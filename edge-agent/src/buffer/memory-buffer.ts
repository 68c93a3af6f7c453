import {
  classRank,
  eventClasses,
  MeshError,
  type Chance,
  type ClassWatermark,
  type Clock,
  type EventClass,
  type Segment,
} from "@fleetmesh/core";
import type { WaitingAppend } from "./append-groups.ts";
import type { AppendItem, BufferStats, BufferTopics, EventBuffer, ReadRequest } from "./buffer.ts";
import type { BufferLimits } from "./buffer-options.ts";
import { byteCountOf, MemoryClass } from "./memory-class.ts";
import { RepeatFilter } from "./repeat-filter.ts";

export interface MemoryBufferOptions {
  readonly agentId: string;
  readonly limits: BufferLimits;
  readonly clock: Clock;
  readonly chance: Chance;
  /** How long a commit takes; what is appended meanwhile shares the next one. */
  readonly commitMs?: number;
  /** Called for each event that is known already and is not stored again. */
  readonly onRepeated?: (topic: string) => void;
}

type Watermarks = Readonly<Partial<Record<EventClass, ClassWatermark>>>;

/**
 * A buffer for simulations and tests. What an append holds becomes durable when its commit's time is over; `crash()`
 * loses what was not, acknowledgements included, as a power cut does to the buffer on a disk.
 */
export class MemoryBuffer implements EventBuffer {
  readonly name = "memory-buffer";
  readonly agentId: string;
  readonly #options: MemoryBufferOptions;
  readonly #classes = new Map<EventClass, MemoryClass>();
  readonly #listeners: ((classes: readonly EventClass[]) => void)[] = [];
  #epoch = "";
  #state: "new" | "open" | "stopped" = "new";
  #unavailable: string | undefined;
  readonly #repeats: RepeatFilter;
  #waiting: WaitingAppend[] = [];
  #acks: Watermarks[] = [];
  #isCommitting = false;
  #crashes = 0;
  #lastNowMs: number | undefined;

  constructor(options: MemoryBufferOptions) {
    this.#options = options;
    this.agentId = options.agentId;
    this.#repeats = new RepeatFilter(options);
    for (const eventClass of eventClasses)
      this.#classes.set(
        eventClass,
        new MemoryClass(eventClass, options.limits.ttlMs?.[eventClass]),
      );
  }

  get epoch(): string {
    return this.#epoch;
  }

  start(): Promise<void> {
    if (this.#epoch === "") this.#epoch = this.#options.chance.hex64();
    this.#state = "open";
    return Promise.resolve();
  }

  async stop(): Promise<void> {
    if (this.#state === "open") this.#commit();
    this.#state = "stopped";
    await Promise.resolve();
  }

  /** Loses all that is not durable; its appends fail. `start()` opens what is left. */
  crash(): void {
    const lost = this.#waiting;
    this.#waiting = [];
    this.#acks = [];
    this.#isCommitting = false;
    this.#crashes += 1;
    this.#state = "stopped";
    for (const { reject } of lost)
      reject(new MeshError("BUFFER_UNAVAILABLE", "The buffer crashed before this was durable"));
  }

  /** What a copied disk image has: all that is durable now, under the same identity. Not started. */
  copy(): MemoryBuffer {
    const copy = new MemoryBuffer(this.#options);
    for (const [eventClass, one] of this.#classes) copy.#classes.set(eventClass, one.copy());
    copy.#epoch = this.#epoch;
    copy.#lastNowMs = this.#lastNowMs;
    copy.#repeats.remember(this.#repeats.identities());
    return copy;
  }

  /** The disk refuses writes from now on, with this reason; undefined = it takes them again. */
  setUnavailable(reason: string | undefined): void {
    this.#unavailable = reason;
  }

  append(items: readonly AppendItem[]): Promise<void> {
    if (this.#state !== "open")
      return Promise.reject(new MeshError("STOPPING", "The buffer is not running"));
    if (items.length === 0) return Promise.resolve();
    return this.#repeats.admit(items, (append) => {
      if (this.#state !== "open") {
        append.reject(new MeshError("STOPPING", "The buffer is not running"));
        return;
      }
      this.#waiting.push(append);
      this.#schedule();
    });
  }

  read(request: ReadRequest): Promise<Segment[]> {
    if (this.#state !== "open")
      return Promise.reject(new MeshError("STOPPING", "The buffer is not running"));
    if (request.nowMs !== undefined) this.#lastNowMs = request.nowMs;
    return Promise.resolve(this.#classOf(request.eventClass).read(request, this.#epoch));
  }

  acknowledge(watermarks: Watermarks): Promise<void> {
    if (this.#state !== "open")
      return Promise.reject(new MeshError("STOPPING", "The buffer is not running"));
    for (const eventClass of eventClasses) {
      const sequence = watermarks[eventClass]?.sequence ?? 0;
      if (sequence > this.#classOf(eventClass).produced)
        return Promise.reject(
          new MeshError("BUFFER_DAMAGED", "The region has more than was given out"),
        );
    }
    this.#acks.push(watermarks);
    this.#schedule();
    return Promise.resolve();
  }

  stats(): Promise<BufferStats> {
    this.#applyAcks();
    const of = (eventClass: EventClass) => this.#classOf(eventClass).stats();
    return Promise.resolve({
      classes: { critical: of("critical"), normal: of("normal"), bulk: of("bulk") },
      bytes: this.#byteCount(),
      bytesMax: this.#options.limits.bytesMax,
      unavailable: this.#unavailable,
    });
  }

  topics(): Promise<BufferTopics> {
    this.#applyAcks();
    const all = eventClasses.map((eventClass) => this.#classOf(eventClass).topics());
    return Promise.resolve({
      queued: all.flatMap(({ queued }) => queued),
      lost: all.flatMap(({ lost }) => lost),
    });
  }

  onAppended(listener: (classes: readonly EventClass[]) => void): void {
    this.#listeners.push(listener);
  }

  #schedule(): void {
    if (this.#isCommitting) return;
    this.#isCommitting = true;
    const crashes = this.#crashes;
    const commit = (): void => {
      if (crashes === this.#crashes) this.#commit();
    };
    const { commitMs } = this.#options;
    if (commitMs === undefined) queueMicrotask(commit);
    else this.#options.clock.setTimer(commitMs, commit);
  }

  #commit(): void {
    const group = this.#waiting;
    this.#waiting = [];
    this.#isCommitting = false;
    this.#applyAcks();
    const grown = new Set<EventClass>();
    for (const { items, resolve, reject } of group) {
      const refused = this.#store(items);
      if (refused) reject(refused);
      else resolve();
      if (!refused) for (const { eventClass } of items) grown.add(eventClass);
    }
    if (grown.size > 0) for (const listener of this.#listeners) listener([...grown]);
  }

  #store(items: readonly AppendItem[]): MeshError | undefined {
    if (this.#unavailable !== undefined)
      return new MeshError("BUFFER_UNAVAILABLE", this.#unavailable);
    let needed = 0;
    for (const item of items) needed += byteCountOf(item);
    if (!this.#makeRoom(needed, items)) {
      const { bytesMax } = this.#options.limits;
      return new MeshError(
        "BUFFER_FULL",
        `The buffer holds ${this.#byteCount()} of ${bytesMax} bytes`,
      );
    }
    for (const item of items) this.#classOf(item.eventClass).append(item);
    return undefined;
  }

  #makeRoom(needed: number, items: readonly AppendItem[]): boolean {
    const { bytesMax, whenFull } = this.#options.limits;
    if (this.#byteCount() + needed <= bytesMax) return true;
    if (this.#lastNowMs !== undefined)
      for (const one of this.#classes.values()) one.sweep(this.#lastNowMs);
    if (this.#byteCount() + needed <= bytesMax) return true;
    if (whenFull === "reject") return false;
    const rankMin = Math.max(...items.map((item) => classRank(item.eventClass)));
    const evictable = eventClasses.filter((one) => classRank(one) >= rankMin).reverse();
    let room = bytesMax - this.#byteCount();
    for (const one of evictable) room += this.#classOf(one).queuedBytes;
    if (room < needed) return false;
    for (const one of evictable)
      while (this.#byteCount() + needed > bytesMax) if (!this.#classOf(one).evictOldest()) break;
    return true;
  }

  #applyAcks(): void {
    const acks = this.#acks;
    this.#acks = [];
    for (const watermarks of acks)
      for (const eventClass of eventClasses) {
        const watermark = watermarks[eventClass];
        if (watermark) this.#classOf(eventClass).acknowledge(watermark);
      }
  }

  #byteCount(): number {
    let sum = 0;
    for (const one of this.#classes.values()) sum += one.queuedBytes;
    return sum;
  }

  #classOf(eventClass: EventClass): MemoryClass {
    const found = this.#classes.get(eventClass);
    if (!found) throw new MeshError("INTERNAL", `There is no class ${eventClass}`);
    return found;
  }
}
