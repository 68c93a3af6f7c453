import { MeshError, sleep, type AgentAck, type Chance, type Clock } from "@fleetmesh/core";
import type { LinkConnection, UplinkLink } from "./link.ts";

/** The region's end of one connection. */
export interface MemoryPeer {
  readonly id: number;
  ack(ack: AgentAck): void;
  command(payload: Uint8Array): void;
  close(reason: string): void;
}

/** What answers at the other end. */
export interface MemoryRegion {
  /** Throws UPLINK_REFUSED to refuse the connection. */
  accept?(peer: MemoryPeer): void;
  /** Resolves = taken (PUBACK). Rejects = the connection is closed without one. Called in order of arrival. */
  receive(peer: MemoryPeer, message: Uint8Array): Promise<void>;
  gone?(peer: MemoryPeer): void;
}

/** Chances are per message, from 0 to 1. */
export interface LinkFaults {
  readonly delayMsMin: number;
  readonly delayMsMax: number;
  readonly refuse: number;
  /** The connection breaks at this message; both ends are told. */
  readonly disconnect: number;
  /** From this message on nothing passes, and nobody is told. */
  readonly halfOpen: number;
  readonly loseAck: number;
  readonly duplicate: number;
  /** What was on its way when the connection broke still arrives, so much later, perhaps behind the next connection's. */
  readonly lateMsMax: number;
}

export const noFaults: LinkFaults = {
  delayMsMin: 1,
  delayMsMax: 1,
  refuse: 0,
  disconnect: 0,
  halfOpen: 0,
  loseAck: 0,
  duplicate: 0,
  lateMsMax: 0,
};

export interface MemoryLinkOptions {
  readonly region: MemoryRegion;
  readonly clock: Clock;
  readonly chance: Chance;
  readonly faults?: LinkFaults;
  /** After so long without a word the agent's end finds a half-open connection dead. */
  readonly keepaliveMs?: number;
}

/**
 * A link without a network, for tests and simulations: order within a connection and direction is kept as TCP keeps it, and
 * what goes wrong is drawn from the seed.
 */
export class MemoryLink implements UplinkLink {
  readonly #options: MemoryLinkOptions;
  readonly #open = new Set<MemoryConnection>();
  #count = 0;
  faults: LinkFaults;
  isDown = false;

  constructor(options: MemoryLinkOptions) {
    this.#options = options;
    this.faults = options.faults ?? noFaults;
  }

  async connect(signal: AbortSignal): Promise<LinkConnection> {
    const { clock, chance } = this.#options;
    await sleep(clock, this.faults.delayMsMin, signal);
    if (signal.aborted) throw new MeshError("STOPPING", "The agent is stopping");
    if (this.isDown) throw new MeshError("UNREACHABLE", "The region does not answer");
    if (chance.float() < this.faults.refuse) {
      throw new MeshError("UPLINK_REFUSED", "The broker refused the connection");
    }
    this.#count += 1;
    const connection = new MemoryConnection(this.#count, this.#options, () => this.faults);
    this.#open.add(connection);
    void connection.closed.then(() => this.#open.delete(connection));
    try {
      this.#options.region.accept?.(connection.peer);
    } catch (error) {
      await connection.close();
      throw error;
    }
    return connection;
  }

  /** Breaks every open connection, as a crash of the region does. */
  cut(reason: string): void {
    for (const connection of [...this.#open]) connection.break(reason);
  }
}

interface Sending {
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

class MemoryConnection implements LinkConnection {
  readonly closed: Promise<string>;
  readonly peer: MemoryPeer;
  readonly #options: MemoryLinkOptions;
  readonly #faults: () => LinkFaults;
  readonly #unsettled = new Set<Sending>();
  #onAck: (ack: AgentAck) => void = () => undefined;
  #onCommand: (payload: Uint8Array) => void = () => undefined;
  #state: "open" | "half-open" | "closed" = "open";
  #upAtMs = 0;
  #downAtMs = 0;
  #tellClosed: (reason: string) => void = () => undefined;

  constructor(id: number, options: MemoryLinkOptions, faults: () => LinkFaults) {
    this.#options = options;
    this.#faults = faults;
    this.closed = new Promise((resolve) => (this.#tellClosed = resolve));
    this.peer = {
      id,
      ack: (ack) => this.#down(() => this.#onAck(ack), faults().loseAck),
      command: (payload) => this.#down(() => this.#onCommand(payload), 0),
      close: (reason) => this.break(reason),
    };
  }

  onAck(listener: (ack: AgentAck) => void): void {
    this.#onAck = listener;
  }

  onCommand(listener: (payload: Uint8Array) => void): void {
    this.#onCommand = listener;
  }

  send(batch: Uint8Array): Promise<void> {
    if (this.#state === "closed") {
      return Promise.reject(new MeshError("UNREACHABLE", "The connection is closed"));
    }
    this.#strike();
    return new Promise((resolve, reject) => {
      const sending = { resolve, reject };
      this.#unsettled.add(sending);
      this.#up(batch.slice(), sending);
    });
  }

  close(): Promise<void> {
    this.break("closed by the agent");
    return Promise.resolve();
  }

  break(reason: string): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    const error = new MeshError("UNREACHABLE", reason);
    for (const { reject } of this.#unsettled) reject(error);
    this.#unsettled.clear();
    this.#options.region.gone?.(this.peer);
    this.#tellClosed(reason);
  }

  /** Draws what goes wrong with this message. */
  #strike(): void {
    const { chance, clock, keepaliveMs = 30_000 } = this.#options;
    const { disconnect, halfOpen } = this.#faults();
    if (chance.float() < disconnect) {
      clock.setTimer(this.#delay(), () => this.break("connection reset"));
    } else if (this.#state === "open" && chance.float() < halfOpen) {
      this.#state = "half-open";
      clock.setTimer(keepaliveMs * 1.5, () => this.break("no answer to the keepalive"));
    }
  }

  #up(message: Uint8Array, sending: Sending): void {
    const { clock, chance } = this.#options;
    const { duplicate, lateMsMax } = this.#faults();
    if (this.#state === "half-open") return;
    this.#upAtMs = Math.max(this.#upAtMs, clock.monotonicMs() + this.#delay());
    clock.setTimer(this.#upAtMs - clock.monotonicMs(), () => {
      if (this.#state === "open") {
        void this.#arrive(message, sending);
        if (chance.float() < duplicate) void this.#arrive(message, sending);
      } else if (lateMsMax > 0) {
        // It was in the region's socket already: handled when nobody waits for it any more.
        clock.setTimer(chance.float() * lateMsMax, () => void this.#arrive(message, sending));
      }
    });
  }

  async #arrive(message: Uint8Array, sending: Sending): Promise<void> {
    try {
      await this.#options.region.receive(this.peer, message);
    } catch (error) {
      this.break(error instanceof Error ? error.message : String(error));
      return;
    }
    this.#down(() => {
      this.#unsettled.delete(sending);
      sending.resolve();
    }, 0);
  }

  #down(deliver: () => void, loss: number): void {
    const { clock, chance } = this.#options;
    if (this.#state !== "open" || chance.float() < loss) return;
    this.#downAtMs = Math.max(this.#downAtMs, clock.monotonicMs() + this.#delay());
    clock.setTimer(this.#downAtMs - clock.monotonicMs(), () => {
      if (this.#state === "open") deliver();
    });
  }

  #delay(): number {
    const { delayMsMin, delayMsMax } = this.#faults();
    return delayMsMin + this.#options.chance.float() * (delayMsMax - delayMsMin);
  }
}
