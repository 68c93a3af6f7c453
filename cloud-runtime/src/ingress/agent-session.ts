import {
  encodeAck,
  eventClasses,
  type AgentAck,
  type ClassWatermark,
  type Clock,
  type EventClass,
  type RejectedEvent,
  type TailPrints,
  type Timer,
} from "@fleetmesh/core";
import type { AgentReceipt, KnownWatermark } from "../store/event-store.ts";
import type { AgentConnection } from "./agent-connection.ts";
import type { DrainCredit } from "./drain-credit.ts";

const rejectedPerAckMax = 100;
const rejectedWaitingMax = 2_000;
/** Acknowledgements of batches that are still in flight together are sent as one, at most this late. */
const ackLateMs = 10;
/** A rewind that had no effect for so long was lost or overtaken: say it again. */
const rewindAgainMs = 1_000;

export interface AgentSessionPorts {
  readonly clock: Clock;
  readonly credit: DrainCredit;
  /** Told to the agent, so that it sends nothing that the door would cut off with the connection. */
  readonly messageBytesMax: number;
}

/** Live state of one agent's epoch on one connection: what to tell it, and the order of its batches. */
export class AgentSession {
  readonly agentId: string;
  readonly epoch: string;
  readonly connection: AgentConnection;
  readonly #clock: Clock;
  readonly #credit: DrainCredit;
  readonly #messageBytesMax: number;
  readonly #watermarks: Partial<Record<EventClass, ClassWatermark>> = {};
  readonly #rewindAsked = new Map<EventClass, number>();
  readonly #rewind = new Set<EventClass>();
  #rejected: RejectedEvent[] = [];
  readonly #appends = new Set<Promise<unknown>>();
  #tail: Promise<void> = Promise.resolve();
  #ackTimer: Timer | undefined;
  #isOver = false;
  lastHeardMs: number;

  constructor(
    identity: { readonly agentId: string; readonly epoch: string },
    connection: AgentConnection,
    ports: AgentSessionPorts,
  ) {
    this.agentId = identity.agentId;
    this.epoch = identity.epoch;
    this.connection = connection;
    this.#clock = ports.clock;
    this.#credit = ports.credit;
    this.#messageBytesMax = ports.messageBytesMax;
    this.lastHeardMs = ports.clock.monotonicMs();
  }

  /**
   * Runs `prepare` of each batch in the order of arrival, then `commit` without waiting for the commits before it:
   * the store takes appends in the order of the calls, so batches are pipelined into its group commit.
   */
  async inOrder<Prepared, Result>(
    prepare: () => Promise<Prepared>,
    commit: (prepared: Prepared) => Promise<Result>,
  ): Promise<Result> {
    const committing = this.#tail.then(async () => {
      const prepared = await prepare();
      return { result: commit(prepared) };
    });
    this.#tail = committing.then(
      () => undefined,
      () => undefined,
    );
    const append = committing.then(({ result }) => result);
    this.#appends.add(append);
    try {
      return await append;
    } finally {
      this.#appends.delete(append);
    }
  }

  /** Resolves when the store has decided on every batch that came so far. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#appends);
  }

  /** Answers a hello: everything known, at once. */
  resync(known: Readonly<Partial<Record<EventClass, KnownWatermark>>>): void {
    const prints: Partial<Record<EventClass, TailPrints>> = {};
    for (const eventClass of eventClasses) {
      const told = known[eventClass];
      if (told === undefined) continue;
      const { prints: tail, ...watermark } = told;
      this.#advance(eventClass, watermark);
      // Batches of this connection may have come behind the store's answer: the prints are of another watermark then.
      if (this.#watermarks[eventClass] === watermark) prints[eventClass] = tail;
    }
    this.#rewindAsked.clear();
    this.#rewind.clear();
    this.#flush(prints);
  }

  settle(
    batch: { readonly eventClass: EventClass; readonly rejected: readonly RejectedEvent[] },
    receipt: AgentReceipt,
  ): void {
    const { eventClass } = batch;
    const known = this.#watermarks[eventClass]?.sequence ?? 0;
    this.#advance(eventClass, receipt.watermark);
    if (receipt.outcome === "ahead") this.#askRewind(eventClass);
    else this.#rewindAsked.delete(eventClass);
    if (receipt.outcome === "stored") {
      const fresh = batch.rejected.filter(({ sequence }) => sequence > known);
      this.#rejected.push(...fresh.slice(0, rejectedWaitingMax - this.#rejected.length));
    }
    this.#scheduleAck();
  }

  refuse(code: string, reason: string): void {
    this.connection.send(
      `acks/${this.agentId}`,
      encodeAck({ ...this.#ack([]), refused: { code, reason } }),
    );
  }

  /** The connection is gone or another one took over: nothing more is sent. */
  end(): void {
    this.#isOver = true;
    this.#ackTimer?.cancel();
    this.#ackTimer = undefined;
  }

  #advance(eventClass: EventClass, watermark: ClassWatermark): void {
    const known = this.#watermarks[eventClass];
    if (known === undefined || watermark.sequence >= known.sequence) {
      this.#watermarks[eventClass] = watermark;
    }
  }

  /** One refused batch refuses all in flight behind it: the agent is told once, or it would send the same again and again. */
  #askRewind(eventClass: EventClass): void {
    const nowMs = this.#clock.monotonicMs();
    const asked = this.#rewindAsked.get(eventClass);
    if (asked !== undefined && nowMs - asked < rewindAgainMs) return;
    this.#rewindAsked.set(eventClass, nowMs);
    this.#rewind.add(eventClass);
  }

  #scheduleAck(): void {
    if (this.#isOver || this.#ackTimer !== undefined) return;
    const delayMs = this.#appends.size <= 1 || this.#rewind.size > 0 ? 0 : ackLateMs;
    this.#ackTimer = this.#clock.setTimer(delayMs, () => this.#flush());
  }

  #flush(prints?: AgentAck["prints"]): void {
    this.#ackTimer?.cancel();
    this.#ackTimer = undefined;
    if (this.#isOver) return;
    const named = this.#rejected.slice(0, rejectedPerAckMax);
    this.#rejected = this.#rejected.slice(rejectedPerAckMax);
    const ack = { ...this.#ack(named), prints };
    this.connection.send(`acks/${this.agentId}`, encodeAck(ack));
    this.#rewind.clear();
    if (this.#rejected.length > 0) this.#scheduleAck();
  }

  #ack(rejected: readonly RejectedEvent[]): AgentAck {
    return {
      epoch: this.epoch,
      watermarks: this.#watermarks,
      rejected,
      rewind: [...this.#rewind],
      creditBytes: this.#credit.share(),
      messageBytesMax: this.#messageBytesMax,
      cloudMs: this.#clock.wallMs(),
    };
  }
}
