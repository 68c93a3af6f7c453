import {
  catalogue,
  decodeWire,
  MeshError,
  sleep,
  type Clock,
  type Logger,
  type Part,
  type WireBatch,
  type WireHello,
  type WireMessage,
} from "@fleetmesh/core";
import type { Metadata } from "../metadata/metadata.ts";
import type { EventStore } from "../store/event-store.ts";
import type { RuntimeMetrics } from "../telemetry/runtime-metrics.ts";
import type { AgentConnection } from "./agent-connection.ts";
import type { AgentSession } from "./agent-session.ts";
import { BatchCheck } from "./batch-check.ts";
import { DrainCredit } from "./drain-credit.ts";
import { PenaltyBox } from "./penalty-box.ts";
import { SessionTable } from "./session-table.ts";

export interface AgentIngressPorts {
  readonly store: EventStore;
  readonly metadata: Metadata;
  readonly metrics: RuntimeMetrics;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface AgentIngressLimits {
  readonly maxEventBytes: number;
  /** Of one message, as it comes and when it is unpacked. */
  readonly messageBytesMax: number;
  readonly unpackedBytesMax: number;
  /** Of all agents together, received and not yet durable. */
  readonly inFlightBytes: number;
}

const eventsPerMessageMax = 50_000;

/**
 * The agents' way in: `batches/{agentId}` → store → PUBACK → `acks/{agentId}`.
 *
 * Guarantees
 * - `receive` resolves, and so the PUBACK goes out, only when the store has made the batch durable or has refused it as
 *   `ahead`; the watermark in the acknowledgement says which. When it rejects, the connection is to be closed without a
 *   PUBACK: the agent still has everything and sends it again.
 * - Batches of one agent reach the store in the order in which they came, pipelined.
 * - An event refused for good is stored as rejected and counts as handled.
 * - A message that cannot be read, and a second agent with the same buffer, are answered late on purpose: whatever the
 *   sender's back-off is, it cannot make the runtime loop hot.
 *
 * Errors: NOT_PERMITTED, WIRE_INVALID, WIRE_TOO_LARGE, AGENT_CLONED, OVERLOADED,
 * STORE_UNAVAILABLE, STOPPING.
 */
export class AgentIngress implements Part {
  readonly name = "agent-ingress";
  readonly #ports: AgentIngressPorts;
  readonly #limits: AgentIngressLimits;
  readonly #check: BatchCheck;
  readonly #credit: DrainCredit;
  readonly #sessions: SessionTable;
  readonly #penalties: PenaltyBox;
  readonly #stopping = new AbortController();
  readonly #busy = new Set<Promise<unknown>>();

  constructor(ports: AgentIngressPorts, limits: AgentIngressLimits) {
    this.#ports = ports;
    this.#limits = limits;
    this.#check = new BatchCheck(ports.metadata, limits.maxEventBytes);
    this.#credit = new DrainCredit({
      budgetBytes: limits.inFlightBytes,
      creditBytesMin: 65_536,
      creditBytesMax: 8 * 1024 * 1024,
      activeMs: 5_000,
      nowMs: () => ports.clock.monotonicMs(),
    });
    const { clock } = ports;
    const { messageBytesMax } = limits;
    this.#sessions = new SessionTable({ clock, credit: this.#credit, messageBytesMax });
    this.#penalties = new PenaltyBox(ports.clock);
  }

  get agentCount(): number {
    return this.#sessions.agentCount;
  }

  start(): Promise<void> {
    return Promise.resolve();
  }

  async stop(deadline: AbortSignal): Promise<void> {
    this.#stopping.abort();
    await Promise.race([Promise.allSettled(this.#busy), passed(deadline)]);
    this.#sessions.clear();
  }

  async receive(connection: AgentConnection, agentId: string, payload: Uint8Array): Promise<void> {
    const work = this.#receive(connection, agentId, payload);
    this.#busy.add(work);
    try {
      await work;
    } catch (thrown) {
      const error = MeshError.from(thrown);
      this.#ports.metrics.messagesRefused.inc({ reason: error.kind });
      this.#ports.logger.warn(
        { agentId, clientId: connection.clientId, code: error.code, reason: error.message },
        "Message of an agent refused.",
      );
      throw error;
    } finally {
      this.#busy.delete(work);
    }
  }

  /** The connection is gone. `wasTakenOver`: because another one came with the same client id. */
  disconnected(connection: AgentConnection, wasTakenOver: boolean): void {
    this.#sessions.remove(connection, wasTakenOver);
    this.#ports.metrics.agentsConnected.set(this.#sessions.agentCount);
  }

  async #receive(connection: AgentConnection, agentId: string, payload: Uint8Array): Promise<void> {
    if (this.#stopping.signal.aborted) throw new MeshError("STOPPING", "The region is stopping");
    this.#authorise(connection, agentId);
    const message = await this.#decode(connection, agentId, payload);
    const session = await this.#sessionOf(connection, message);
    session.lastHeardMs = this.#ports.clock.monotonicMs();
    if (message.kind === "hello") await this.#hello(session, message);
    else await this.#batch(session, message, payload.length);
  }

  #authorise({ principal }: AgentConnection, agentId: string): void {
    if (principal.agentId !== "*" && principal.agentId !== agentId) {
      throw new MeshError("NOT_PERMITTED", `The token is not that of agent "${agentId}"`);
    }
  }

  async #decode(
    connection: AgentConnection,
    agentId: string,
    payload: Uint8Array,
  ): Promise<WireMessage> {
    try {
      const { messageBytesMax, unpackedBytesMax } = this.#limits;
      if (payload.length > messageBytesMax) {
        throw new MeshError(
          "WIRE_TOO_LARGE",
          `${payload.length} bytes, at most ${messageBytesMax}`,
        );
      }
      const message = decodeWire(payload, {
        decodedBytesMax: unpackedBytesMax,
        eventCountMax: eventsPerMessageMax,
      });
      if (message.agentId !== agentId) {
        throw new MeshError("WIRE_INVALID", "The batch names another agent than its topic");
      }
      this.#penalties.forgive(agentId);
      return message;
    } catch (error) {
      const { code, message } = MeshError.from(error);
      for (const session of this.#sessions.of(connection)) session.refuse(code, message);
      await this.#hold(this.#penalties.penalise(agentId));
      throw error;
    }
  }

  async #sessionOf(connection: AgentConnection, message: WireMessage): Promise<AgentSession> {
    const opened = this.#sessions.open(message, connection);
    this.#ports.metrics.agentsConnected.set(this.#sessions.agentCount);
    if (!opened.isClone) return opened.session;
    const reason = `Another connection sends as agent "${message.agentId}" with this epoch`;
    opened.session.refuse(catalogue.AGENT_CLONED.code, reason);
    await this.#hold(this.#penalties.penalise(message.agentId));
    throw new MeshError("AGENT_CLONED", reason);
  }

  async #hello(session: AgentSession, hello: WireHello): Promise<void> {
    await this.#sessions.ended(session);
    session.resync(await this.#ports.store.watermarks(session.agentId, session.epoch));
    const skewMs = hello.sentMs - this.#ports.clock.wallMs();
    this.#ports.logger.debug({ agentId: hello.agentId, skewMs }, "Agent said hello.");
  }

  async #batch(session: AgentSession, batch: WireBatch, byteCount: number): Promise<void> {
    if (!this.#credit.hasRoom(byteCount)) {
      throw new MeshError("OVERLOADED", "Too many bytes of agents wait for the region's store");
    }
    this.#flow(session.agentId, byteCount);
    try {
      await this.#append(session, batch);
    } finally {
      this.#flow(session.agentId, -byteCount);
    }
  }

  async #append(session: AgentSession, batch: WireBatch): Promise<void> {
    const { store, metrics } = this.#ports;
    const { checked, receipt } = await session.inOrder(
      () => this.#check.check(batch, session.connection.principal),
      async (checked) => ({ checked, receipt: await store.appendFromAgent(checked.append) }),
    );
    session.settle({ eventClass: batch.eventClass, rejected: checked.rejected }, receipt);
    if (receipt.outcome !== "stored") return;
    for (const [topic, count] of checked.accepted) {
      metrics.door.received(topic, "mqtt", count);
    }
    for (const { code } of checked.rejected) metrics.rejected.inc({ code });
  }

  #flow(agentId: string, byteCount: number): void {
    if (byteCount > 0) this.#credit.take(agentId, byteCount);
    else this.#credit.give(-byteCount);
    this.#ports.metrics.bytesInFlight.set({ door: "agent" }, this.#credit.bytesInFlight);
  }

  #hold(delayMs: number): Promise<void> {
    return sleep(this.#ports.clock, delayMs, this.#stopping.signal);
  }
}

function passed(deadline: AbortSignal): Promise<void> {
  if (deadline.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    deadline.addEventListener("abort", () => resolve(), { once: true });
  });
}
