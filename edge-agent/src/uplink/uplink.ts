import {
  MeshError,
  sleep,
  type Chance,
  type Clock,
  type Logger,
  type Part,
  type RejectedEvent,
  Backoff,
} from "@fleetmesh/core";
import type { EventBuffer } from "../buffer/buffer.ts";
import { CloudTime } from "./cloud-time.ts";
import type { Refusal } from "./epoch-stream.ts";
import type { LinkConnection, UplinkLink } from "./link.ts";
import { RecentRejections } from "./recent-rejections.ts";
import { RefusedEpochs, type RefusedEpoch } from "./refused-epochs.ts";
import type { UplinkObserver } from "./uplink-counts.ts";
import { memoryOf, type BufferMemory } from "./lane-memory.ts";
import type { UndeliverableEvent } from "./undeliverable-event.ts";
import type { UplinkLimits } from "./uplink-limits.ts";
import { UplinkSession, type EncodeMessage, type SessionBuffer } from "./uplink-session.ts";

export interface UplinkPorts {
  readonly link: UplinkLink;
  readonly clock: Clock;
  readonly chance: Chance;
  readonly logger: Logger;
  readonly observer: UplinkObserver;
  readonly encode: EncodeMessage;
  /** A command from the region: a structured CloudEvent as bytes. Must not throw. */
  readonly onCommand: (payload: Uint8Array) => void;
  /** An epoch was refused once more; the owner of the buffers decides whether it takes a new one. */
  readonly onRefused: (buffer: EventBuffer, refused: RefusedEpoch) => void;
  /** Keeps an event that can never be sent, for people; absent = nowhere. Rejects when it cannot now: it is then tried again. */
  readonly setAside?: (event: UndeliverableEvent) => Promise<void>;
}

/** The buffers to drain; asked on each connection. `Buffers` is one. */
export interface BufferSource {
  readonly current: EventBuffer;
  /** Oldest first. */
  readonly salvaged: readonly EventBuffer[];
  onChanged(listener: () => void): void;
}

export type UplinkState = "stopped" | "connecting" | "greeting" | "online" | "waiting";

export interface UplinkStatus {
  readonly state: UplinkState;
  /** Wall clock of the last change of state. */
  readonly sinceMs: number;
  readonly lastError: { readonly atMs: number; readonly reason: string } | undefined;
  readonly refused: readonly RefusedEpoch[];
  readonly rejected: readonly RejectedEvent[];
  readonly rejectedCount: number;
  readonly inFlightBytes: number;
  readonly inFlightBatches: number;
  readonly windowBytes: number;
  readonly skewMs: number | undefined;
}

/** A connection that lived so long was a good one: the next failure starts from a short wait again. */
const goodConnectionMs = 10_000;
const drainMsMax = 2_000;
/** While there is no buffer that could be drained: one is opened on this machine. */
const noBufferWaitMs = 250;

/**
 * Brings what the buffers hold to the region, for as long as it runs.
 *
 * Guarantees
 * - A buffer's events are deleted only on the region's acknowledgement, never because a message was sent or taken.
 * - Within a class of an epoch events leave in order and without a hole; a higher class overtakes a lower one at once.
 * - Memory is bounded by the window plus one batch read ahead for each class; what is not on its way is on the disk.
 * - An event that no message can carry is kept aside and told as damaged; it holds up its class for a while only.
 * - No failure of the region, the network or a clock ends it: it waits, longer each time with full jitter, and goes on.
 */
export class Uplink implements Part {
  readonly name = "uplink";
  readonly cloudTime: CloudTime;
  readonly #ports: UplinkPorts;
  readonly #limits: UplinkLimits;
  readonly #backoff: Backoff;
  readonly #refused: RefusedEpochs;
  readonly #rejections: RecentRejections;
  readonly #stopping = new AbortController();
  readonly #source: BufferSource;
  readonly #memories = new WeakMap<EventBuffer, BufferMemory>();
  #session: UplinkSession | undefined;
  #running: Promise<void> | undefined;
  #state: UplinkState = "stopped";
  #sinceMs: number;
  /** The buffers changed: the next connection has others. */
  #isChanged = false;
  #lastError: UplinkStatus["lastError"];

  constructor(source: BufferSource, limits: UplinkLimits, ports: UplinkPorts) {
    this.#source = source;
    this.#limits = limits;
    this.#ports = ports;
    this.cloudTime = new CloudTime(ports.clock);
    this.#backoff = new Backoff(limits.reconnect, ports.chance);
    this.#refused = new RefusedEpochs(limits.refusedRetry, ports.chance);
    this.#rejections = new RecentRejections(ports.clock, ports.logger);
    this.#sinceMs = ports.clock.wallMs();
    source.onChanged(() => {
      this.#isChanged = true;
      this.#session?.close();
    });
  }

  /** Milliseconds since 1970 by the region's clock; undefined when no clock near or far was ever set. */
  cloudNowMs(): number | undefined {
    return this.cloudTime.nowMs();
  }

  /** Starts trying; does not wait for the region: the doors must open without it. */
  start(): Promise<void> {
    if (!this.#stopping.signal.aborted) this.#running ??= this.#run();
    return Promise.resolve();
  }

  async stop(deadline: AbortSignal): Promise<void> {
    if (this.#running === undefined || this.#stopping.signal.aborted) return this.#running;
    this.#session?.drain();
    const limit = AbortSignal.any([deadline, this.#stopping.signal]);
    if (this.#session !== undefined) {
      await Promise.race([this.#ended(), sleep(this.#ports.clock, drainMsMax, limit)]);
    }
    this.#stopping.abort();
    this.#session?.close();
    await this.#running;
  }

  status(): UplinkStatus {
    return {
      state: this.#state,
      sinceMs: this.#sinceMs,
      lastError: this.#lastError,
      refused: this.#refused.list(),
      rejected: this.#rejections.recent,
      rejectedCount: this.#rejections.count,
      inFlightBytes: this.#session?.window.byteCount ?? 0,
      inFlightBatches: this.#session?.window.batchCount ?? 0,
      windowBytes: this.#session?.window.limitBytes ?? 0,
      skewMs: this.cloudTime.skewMs(),
    };
  }

  async #run(): Promise<void> {
    const { clock } = this.#ports;
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      // Before anything is sent, and at the start before anything is appended: what the region may know.
      const buffers = await this.#look().catch((error: unknown) => this.#noBuffers(error));
      if (buffers.length === 0) {
        await sleep(clock, noBufferWaitMs, signal);
        continue;
      }
      this.#enter("connecting");
      const waitMs = await this.#connectOnce(signal);
      this.#enter("waiting");
      await sleep(clock, waitMs, signal);
    }
    this.#enter("stopped");
  }

  /** One connection from hello to end. Never throws; returns how long to wait before the next. */
  async #connectOnce(signal: AbortSignal): Promise<number> {
    const { clock, link, logger } = this.#ports;
    const startedMs = clock.monotonicMs();
    try {
      const reason = await this.#serve(await link.connect(signal));
      if (!signal.aborted) this.#note(reason);
    } catch (error) {
      this.#note(error instanceof Error ? error.message : String(error));
      if (MeshError.is(error, "UPLINK_REFUSED")) return this.#refusedWait();
    }
    if (this.#isChanged) return 0;
    if (clock.monotonicMs() - startedMs > goodConnectionMs) this.#backoff.reset();
    const waitMs = this.#backoff.next();
    this.#ports.observer.count("reconnects", 1);
    logger.info({ reason: this.#lastError?.reason, waitMs }, "Uplink lost; trying again.");
    return waitMs;
  }

  async #serve(connection: LinkConnection): Promise<string> {
    if (this.#stopping.signal.aborted) {
      await connection.close();
      return "stopping";
    }
    connection.onCommand((payload) => this.#ports.onCommand(payload));
    this.#enter("greeting");
    const session = this.#openSession(connection);
    this.#session = session;
    try {
      return await session.run(await this.#look());
    } finally {
      this.#session = undefined;
      await connection.close();
    }
  }

  #openSession(connection: LinkConnection): UplinkSession {
    const { clock, logger, observer, encode } = this.#ports;
    return new UplinkSession(connection, {
      limits: this.#limits,
      clock,
      logger,
      observer,
      encode,
      cloudTime: this.cloudTime,
      onRejected: (rejected) => {
        observer.count("rejected", rejected.length);
        this.#rejections.add(rejected);
      },
      onRefused: (buffer, refusal) => this.#onRefused(buffer, refusal),
      onServed: (buffer) => {
        this.#refused.forget(buffer.epoch);
        this.#enter("online");
      },
      setAside: async (event) => this.#ports.setAside?.(event),
      greetAtMs: (buffer) => this.#refused.retryMs(buffer.epoch),
    });
  }

  #onRefused(buffer: EventBuffer, refusal: Refusal): void {
    const { clock, logger, onRefused } = this.#ports;
    const refused = this.#refused.refuse(buffer.epoch, refusal, clock.monotonicMs());
    const { agentId, epoch } = buffer;
    logger.error({ agentId, epoch, ...refusal }, "The region refused this agent's epoch.");
    this.#note(refusal.reason);
    onRefused(buffer, refused);
  }

  /** A broker that says no is not asked as eagerly as one that is not there. */
  #refusedWait(): number {
    const { initialMs, maxMs } = this.#limits.refusedRetry;
    return Math.min(maxMs, initialMs + this.#backoff.next() * 2);
  }

  /** The buffers as they are now. Oldest epoch first: within a class what is older leaves first. */
  async #look(): Promise<readonly SessionBuffer[]> {
    this.#isChanged = false;
    const { salvaged, current } = this.#source;
    // A buffer that is not open has no epoch.
    const open = [...salvaged, current].filter(({ epoch }) => epoch !== "");
    this.#refused.keep(new Set(open.map(({ epoch }) => epoch)));
    return Promise.all(
      open.map(async (buffer) => {
        const memory = this.#memories.get(buffer) ?? (await this.#meet(buffer));
        return { buffer, memory, isCurrent: buffer === current };
      }),
    );
  }

  async #meet(buffer: EventBuffer): Promise<BufferMemory> {
    const memory = memoryOf(await buffer.stats());
    this.#memories.set(buffer, memory);
    buffer.onAppended((classes) => this.#session?.grew(buffer, classes));
    return memory;
  }

  #noBuffers(error: unknown): readonly SessionBuffer[] {
    this.#note(error instanceof Error ? error.message : String(error));
    return [];
  }

  #enter(state: UplinkState): void {
    if (this.#state === state) return;
    this.#state = state;
    this.#sinceMs = this.#ports.clock.wallMs();
  }

  #note(reason: string): void {
    this.#lastError = { atMs: this.#ports.clock.wallMs(), reason };
  }

  async #ended(): Promise<void> {
    const session = this.#session;
    while (this.#session === session && session !== undefined) {
      await sleep(this.#ports.clock, 20, this.#stopping.signal);
      if (this.#stopping.signal.aborted) return;
    }
  }
}
