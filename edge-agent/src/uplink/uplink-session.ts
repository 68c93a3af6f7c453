import {
  catalogue,
  MeshError,
  type AgentAck,
  type Clock,
  type Logger,
  type RejectedEvent,
  type Timer,
  type WireBatch,
  type WireMessage,
} from "@fleetmesh/core";
import type { EventBuffer } from "../buffer/buffer.ts";
import { shareBytes, type BatchWeight } from "./batch-weight.ts";
import { Bell } from "./bell.ts";
import type { ClassLane, LaneBatch } from "./class-lane.ts";
import type { CloudTime } from "./cloud-time.ts";
import { EpochStream, type Refusal } from "./epoch-stream.ts";
import type { BufferMemory } from "./lane-memory.ts";
import type { LinkConnection } from "./link.ts";
import { SendWindow, type InFlight } from "./send-window.ts";
import type { UplinkObserver } from "./uplink-counts.ts";
import type { UndeliverableEvent } from "./undeliverable-event.ts";
import { slowUplinkBytesPerMs, type UplinkLimits } from "./uplink-limits.ts";

/** How much work to spend on size: a backlog is sent with as little of the gateway's CPU as will do. */
export type Effort = "fast" | "small";
export type EncodeMessage = (message: WireMessage, effort: Effort) => Uint8Array;

export interface SessionOptions {
  readonly limits: UplinkLimits;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly observer: UplinkObserver;
  readonly cloudTime: CloudTime;
  readonly encode: EncodeMessage;
  readonly onRejected: (rejected: readonly RejectedEvent[]) => void;
  /** The region will not serve this epoch for now. */
  readonly onRefused: (buffer: EventBuffer, refusal: Refusal) => void;
  /** When this epoch may be greeted, monotonic. */
  readonly greetAtMs: (buffer: EventBuffer) => number;
  readonly onServed: (buffer: EventBuffer) => void;
  /** Resolves when the event is kept aside; rejects when that cannot be now. */
  readonly setAside: (event: UndeliverableEvent) => Promise<void>;
}

/** A buffer to drain, and what is remembered of it from one connection to the next. */
export interface SessionBuffer {
  readonly buffer: EventBuffer;
  readonly memory: BufferMemory;
  readonly isCurrent: boolean;
}

/** How the region says that it cannot read a message at all: every repeat would be refused too. */
const unreadable: ReadonlySet<string> = new Set([
  catalogue.WIRE_INVALID.code,
  catalogue.WIRE_TOO_LARGE.code,
]);

const tickMs = 500;
/** Resending changed nothing for so many times the wait for an acknowledgement: only a new connection can help. */
const unconfirmedPatience = 3;

/**
 * One connection's life: hello for each epoch, resync, then batches by class while the window has room, until it closes.
 * All its state is of this connection; the buffers have the rest.
 */
export class UplinkSession {
  readonly window: SendWindow;
  readonly #options: SessionOptions;
  readonly #connection: LinkConnection;
  readonly #bell = new Bell();
  readonly #unconfirmedSinceMs = new Map<ClassLane, number>();
  #streams: readonly EpochStream[] = [];
  /** Most important class first; within a class the oldest epoch first. */
  #lanes: readonly { readonly lane: ClassLane; readonly stream: EpochStream }[] = [];
  #isOver = false;
  #isDraining = false;
  #wakeTimer: Timer | undefined;
  #tickTimer: Timer | undefined;
  /** The region's bound of one message; what is larger would be cut off with the connection. */
  #messageBytesMax = Infinity;
  #hasSuspected = false;
  #settingAside: Promise<void> = Promise.resolve();

  constructor(connection: LinkConnection, options: SessionOptions) {
    this.#connection = connection;
    this.#options = options;
    this.window = new SendWindow(options.limits);
  }

  /** @param buffers oldest epoch first. Resolves with the reason when the connection is gone and nothing of it runs any more. */
  async run(buffers: readonly SessionBuffer[]): Promise<string> {
    const over = this.#connection.closed.then((reason) => {
      this.#end();
      return reason;
    });
    try {
      await this.#open(buffers);
      await this.#pump();
    } finally {
      this.#end();
      await this.#connection.close();
      await Promise.all(this.#streams.map((stream) => stream.settled()));
      await this.#settingAside;
    }
    return over;
  }

  isServing(): boolean {
    return this.#streams.some(({ state }) => state === "live");
  }

  grew(buffer: EventBuffer, classes: readonly string[]): void {
    const nowMs = this.#options.clock.monotonicMs();
    const stream = this.#streams.find((one) => one.buffer === buffer);
    if (stream === undefined) return;
    for (const lane of stream.lanes) if (classes.includes(lane.eventClass)) lane.grew(nowMs);
    this.#bell.ring();
  }

  /** Sends nothing new; the connection closes when what is on its way is confirmed, or when told. */
  drain(): void {
    this.#isDraining = true;
    if (this.#isQuiet()) void this.#connection.close();
    this.#bell.ring();
  }

  close(): void {
    void this.#connection.close();
  }

  async #open(buffers: readonly SessionBuffer[]): Promise<void> {
    const { limits, logger, observer, clock } = this.#options;
    this.#connection.onAck((ack) => this.#onAck(ack));
    this.#streams = await Promise.all(
      buffers.map(({ buffer, memory, isCurrent }) =>
        EpochStream.open(buffer, { limits, logger, observer, memory, isCurrent }),
      ),
    );
    this.#lanes = this.#streams
      .flatMap((stream) => stream.lanes.map((lane) => ({ lane, stream })))
      .sort((left, right) => left.lane.rank - right.lane.rank);
    this.#greetDue(clock.monotonicMs());
    this.#tickTimer = clock.setTimer(tickMs, () => this.#tick());
  }

  async #pump(): Promise<void> {
    while (!this.#isOver) {
      const nowMs = this.#options.clock.monotonicMs();
      const lane = this.#isDraining ? undefined : this.#nextLane(nowMs);
      if (lane === undefined) await this.#bell.wait();
      else await this.#sendFrom(lane, nowMs);
    }
  }

  /** The most important lane that may send now; otherwise wakes the pump when the first of them may. */
  #nextLane(nowMs: number): ClassLane | undefined {
    let soonestMs = Infinity;
    // While the batch at fault is looked for, only one is on its way: its acknowledgement rings.
    const isCautious = this.#lanes.some(({ lane }) => lane.isCautious);
    if (isCautious && this.window.batchCount > 0) return undefined;
    for (const { lane, stream } of this.#lanes) {
      if (stream.state !== "live" || !this.window.hasRoom(lane.rank)) continue;
      const readyMs = lane.readyMs();
      if (readyMs <= nowMs) return lane;
      soonestMs = Math.min(soonestMs, readyMs);
    }
    this.#wakeTimer?.cancel();
    if (soonestMs < Infinity) {
      this.#wakeTimer = this.#options.clock.setTimer(soonestMs - nowMs, () => this.#bell.ring());
    }
    return undefined;
  }

  async #sendFrom(lane: ClassLane, nowMs: number): Promise<void> {
    try {
      const taken = await lane.take(nowMs, this.#options.cloudTime.nowMs());
      if (taken !== undefined && !this.#isOver) await this.#sendBatch(lane, taken);
    } catch (error) {
      this.#options.logger.error({ error, class: lane.eventClass }, "A batch could not be made.");
      lane.postpone(this.#options.clock.monotonicMs() + 1_000);
    }
  }

  async #sendBatch(lane: ClassLane, taken: LaneBatch): Promise<void> {
    const { clock, observer } = this.#options;
    const { batch, weight } = taken;
    const bytes = this.#encoded(taken);
    if (bytes instanceof MeshError)
      return this.#giveUp(lane, batch, { code: bytes.code, reason: bytes.message });
    const { sent, isResend } = lane.sent(taken, clock.monotonicMs());
    observer.count("batches", 1);
    if (isResend) observer.count("resends", 1);
    this.#count(bytes.length, weight, batch.segments);
    this.#send(bytes, () => lane.taken(sent, clock.monotonicMs()));
  }

  /** The bytes, or why there can be none that the region takes. */
  #encoded({ batch, isBacklog }: LaneBatch): Uint8Array | MeshError {
    try {
      const bytes = this.#options.encode(batch, isBacklog ? "fast" : "small");
      if (bytes.length <= this.#messageBytesMax) return bytes;
      const text = `The batch has ${bytes.length} bytes, the region takes ${this.#messageBytesMax}`;
      return new MeshError("WIRE_TOO_LARGE", text);
    } catch (thrown) {
      return MeshError.from(thrown);
    }
  }

  /** Smaller from now on; when it is one event alone: kept aside, and told as damaged. Rejects when it cannot be kept now. */
  async #giveUp(lane: ClassLane, batch: WireBatch, { code, reason }: Refusal): Promise<void> {
    const { logger, observer, setAside } = this.#options;
    const { agentId, epoch, eventClass, first, last } = batch;
    const facts = { epoch, class: eventClass, first, last, code, reason };
    const entry = lane.narrow(batch);
    if (entry === undefined) {
      logger.warn(facts, "A batch cannot be sent as it is; smaller ones are tried.");
      return;
    }
    await setAside({ agentId, epoch, eventClass, entry, code, reason });
    lane.drop(entry.sequence);
    observer.count("undeliverable", 1);
    logger.error(facts, "An event cannot be sent; it is kept aside and told as damaged.");
  }

  /** Which batch was it? The only one on its way, or it is looked for on the next connection. */
  #suspect({ code, reason }: Refusal): void {
    if (this.#hasSuspected) return;
    this.#hasSuspected = true;
    for (const { lane } of this.#lanes) {
      const batch = lane.suspect();
      if (batch === undefined) continue;
      this.#settingAside = this.#giveUp(lane, batch, { code, reason }).catch((error: unknown) => {
        this.#options.logger.error({ error }, "An event that cannot be sent cannot be kept aside.");
      });
    }
    this.close();
  }

  #count(byteCount: number, weight: BatchWeight, segments: LaneBatch["batch"]["segments"]): void {
    // The frame: fixed header, topic and packet id (MQTT 3.1.1 3.3).
    this.#options.observer.sent(shareBytes(byteCount + 24, weight, segments));
  }

  #send(bytes: Uint8Array, onTaken: () => void): void {
    const sent: InFlight = {
      byteCount: bytes.length,
      sentMs: this.#options.clock.monotonicMs(),
    };
    this.window.add(sent);
    this.#connection.send(bytes).then(
      () => {
        this.window.taken(sent, this.#options.clock.monotonicMs());
        onTaken();
        this.#bell.ring();
      },
      () => this.close(),
    );
  }

  #onAck(ack: AgentAck): void {
    const { cloudTime, clock } = this.#options;
    const stream = this.#streams.find(({ buffer }) => buffer.epoch === ack.epoch);
    if (stream === undefined || this.#isOver) return;
    if (ack.refused && unreadable.has(ack.refused.code)) {
      this.#suspect(ack.refused);
      return;
    }
    this.#messageBytesMax = ack.messageBytesMax ?? Infinity;
    if (stream.greetedMs === undefined) cloudTime.atLeast(ack.cloudMs);
    else cloudTime.measure(ack.cloudMs, clock.monotonicMs() - stream.greetedMs);
    if (stream.state === "live" || ack.prints === undefined) this.#apply(stream, ack);
    else void this.#compare(stream, ack);
  }

  /** An answer to a hello is believed when the region's last events are those of this buffer. */
  async #compare(stream: EpochStream, ack: AgentAck): Promise<void> {
    const { cloudTime, logger } = this.#options;
    try {
      const refused = await stream.foreign(ack, cloudTime.nowMs());
      if (!this.#isOver) this.#apply(stream, refused === undefined ? ack : { ...ack, refused });
    } catch (error) {
      // Nothing is sent on the strength of an answer that could not be compared.
      logger.error({ error }, "The region's answer cannot be compared with the buffer.");
      this.close();
    }
  }

  #apply(stream: EpochStream, ack: AgentAck): void {
    const { clock, onRejected, onRefused, onServed } = this.#options;
    const nowMs = clock.monotonicMs();
    const wasLive = stream.state === "live";
    const refusal = stream.apply(ack, nowMs);
    if (refusal !== undefined) {
      stream.greetedMs = undefined;
      onRefused(stream.buffer, refusal);
    } else {
      if (!wasLive) onServed(stream.buffer);
      this.window.setCredit(ack.creditBytes);
    }
    if (ack.rejected.length > 0) onRejected(ack.rejected);
    if (this.#isDraining && this.#isQuiet()) this.close();
    this.#bell.ring();
  }

  /** Everything that waits is looked at twice a second: cheap, and no timer per batch. */
  #tick(): void {
    if (this.#isOver) return;
    const nowMs = this.#options.clock.monotonicMs();
    const failure = this.#overdue(nowMs);
    if (failure !== undefined) {
      this.#options.logger.warn({ reason: failure }, "The uplink's connection is given up.");
      this.close();
      return;
    }
    this.#greetDue(nowMs);
    for (const { lane } of this.#lanes) this.#checkUnconfirmed(lane, nowMs);
    this.#bell.ring();
    this.#tickTimer = this.#options.clock.setTimer(tickMs, () => this.#tick());
  }

  #overdue(nowMs: number): string | undefined {
    const { ackTimeoutMs } = this.#options.limits;
    const { oldest } = this.window;
    if (oldest && nowMs - oldest.sentMs > this.#takenTimeoutMs(oldest))
      return "a batch was not taken";
    const isUnanswered = this.#streams.some(
      ({ greetedMs }) => nowMs - (greetedMs ?? nowMs) > ackTimeoutMs,
    );
    if (isUnanswered) return "the region did not answer the hello";
    for (const sinceMs of this.#unconfirmedSinceMs.values()) {
      if (nowMs - sinceMs > unconfirmedPatience * ackTimeoutMs)
        return "batches were taken but never confirmed";
    }
    return undefined;
  }

  /** What is larger than a batch should be is one large event, and has its time: cut off before, it would never arrive. */
  #takenTimeoutMs({ byteCount }: InFlight): number {
    const { takenTimeoutMs, batchBytesMax } = this.#options.limits;
    return takenTimeoutMs + Math.max(0, byteCount - batchBytesMax) / slowUplinkBytesPerMs;
  }

  /** An acknowledgement may be lost although its batch was taken: after a while the batch is sent again. */
  #checkUnconfirmed(lane: ClassLane, nowMs: number): void {
    const { ackTimeoutMs } = this.#options.limits;
    if (lane.unconfirmedCount === 0) {
      this.#unconfirmedSinceMs.delete(lane);
      return;
    }
    const takenMs = lane.oldestTakenMs;
    if (takenMs === undefined || nowMs - takenMs <= ackTimeoutMs) return;
    if (!this.#unconfirmedSinceMs.has(lane)) this.#unconfirmedSinceMs.set(lane, takenMs);
    lane.rewind(nowMs, undefined);
  }

  #greetDue(nowMs: number): void {
    const { clock, encode, greetAtMs } = this.#options;
    for (const stream of this.#streams) {
      const mayGreet = stream.state === "silent" || stream.state === "refused";
      if (!mayGreet || this.#isDraining || greetAtMs(stream.buffer) > nowMs) continue;
      this.#send(encode(stream.greet(nowMs, clock.wallMs()), "small"), () => undefined);
    }
  }

  #isQuiet(): boolean {
    return this.#lanes.every(({ lane }) => lane.unconfirmedCount === 0);
  }

  #end(): void {
    this.#isOver = true;
    this.#wakeTimer?.cancel();
    this.#tickTimer?.cancel();
    this.#bell.ring();
  }
}
