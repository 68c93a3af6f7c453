import type { Clock } from "@fleetmesh/core";
import type { AgentConnection } from "./agent-connection.ts";
import { AgentSession } from "./agent-session.ts";
import type { DrainCredit } from "./drain-credit.ts";

export interface OpenedSession {
  readonly session: AgentSession;
  readonly isClone: boolean;
}

interface Identity {
  readonly agentId: string;
  readonly epoch: string;
}

/** Two that keep throwing each other out: so many times within the span, each time out of a lively connection. */
const takeoverCountMax = 4;
const takeoverSpanMs = 60_000;
const livelyMs = 5_000;
const epochCountMax = 32;

/**
 * Who sends as which agent and epoch. A second connection with another client id while the first lives is a clone.
 * With the same client id, MQTT throws the first one out (3.1.4): that is how an agent comes back from a half-open
 * connection, so it is let in; only a pair that takes over from each other again and again is told that it is cloned.
 */
export class SessionTable {
  readonly #ports: { readonly clock: Clock; readonly credit: DrainCredit };
  readonly #owners = new Map<string, AgentSession>();
  readonly #sessions = new Map<AgentConnection, AgentSession[]>();
  readonly #takeovers = new Map<string, number[]>();

  constructor(ports: { readonly clock: Clock; readonly credit: DrainCredit }) {
    this.#ports = ports;
  }

  /** Connections that have said who they are. */
  get agentCount(): number {
    return this.#sessions.size;
  }

  of(connection: AgentConnection): readonly AgentSession[] {
    return this.#sessions.get(connection) ?? [];
  }

  open(identity: Identity, connection: AgentConnection): OpenedSession {
    const key = keyOf(identity);
    const owner = this.#owners.get(key);
    if (owner?.connection === connection) return { session: owner, isClone: false };
    const session = new AgentSession(identity, connection, this.#ports);
    const isOther = owner !== undefined && owner.connection.clientId !== connection.clientId;
    if (isOther || this.#isPingPong(key)) return { session, isClone: true };
    if (owner !== undefined) this.#retire(owner, true);
    this.#owners.set(key, session);
    this.#sessions.set(connection, [...this.#room(connection), session]);
    return { session, isClone: false };
  }

  remove(connection: AgentConnection, wasTakenOver: boolean): void {
    for (const session of this.of(connection)) this.#retire(session, wasTakenOver);
    this.#sessions.delete(connection);
  }

  clear(): void {
    for (const session of this.#owners.values()) session.end();
    this.#owners.clear();
    this.#sessions.clear();
    this.#takeovers.clear();
  }

  /** A connection has few epochs: the one its agent is in, and those it salvaged. */
  #room(connection: AgentConnection): readonly AgentSession[] {
    const sessions = this.of(connection);
    if (sessions.length < epochCountMax) return sessions;
    const [oldest, ...others] = sessions;
    if (oldest !== undefined) this.#retire(oldest, false);
    return others;
  }

  #retire(session: AgentSession, wasTakenOver: boolean): void {
    session.end();
    const key = keyOf(session);
    // A retired session is seen twice when the takeover shows before the old connection's end.
    if (this.#owners.get(key) !== session) return;
    this.#owners.delete(key);
    const nowMs = this.#ports.clock.monotonicMs();
    if (wasTakenOver && nowMs - session.lastHeardMs < livelyMs) this.#noteTakeover(key, nowMs);
  }

  #noteTakeover(key: string, nowMs: number): void {
    const recent = (this.#takeovers.get(key) ?? []).filter((at) => nowMs - at < takeoverSpanMs);
    this.#takeovers.delete(key);
    this.#takeovers.set(key, [...recent, nowMs].slice(-takeoverCountMax));
    if (this.#takeovers.size <= 10_000) return;
    const oldest = this.#takeovers.keys().next();
    if (!oldest.done) this.#takeovers.delete(oldest.value);
  }

  #isPingPong(key: string): boolean {
    const nowMs = this.#ports.clock.monotonicMs();
    const times = this.#takeovers.get(key) ?? [];
    const [first] = times;
    return (
      times.length >= takeoverCountMax && first !== undefined && nowMs - first < takeoverSpanMs
    );
  }
}

function keyOf({ agentId, epoch }: Identity): string {
  return `${epoch}/${agentId}`;
}
