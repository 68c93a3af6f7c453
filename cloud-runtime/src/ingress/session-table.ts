import { MeshError } from "@fleetmesh/core";
import type { AgentConnection } from "./agent-connection.ts";
import { AgentSession, type AgentSessionPorts } from "./agent-session.ts";

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
const clientCountMax = 10_000;

/**
 * Who sends as which agent and epoch. A second connection with another client id while the first lives is a clone.
 * With the same client id, MQTT throws the first one out (3.1.4): that is how an agent comes back from a half-open
 * connection, so it is let in; only a pair that takes over from each other again and again with one epoch is told that it
 * is cloned. One of the pair is told so, once: it takes a new epoch, and the other keeps this one. Two agents that have
 * one name and different epochs take turns.
 *
 * Guarantee: once a connection is gone, or another one has taken its client id over, nothing that it sent is taken any more;
 * and `ended` tells when what was taken before is decided. So the answer to a hello is the last word on its predecessors.
 */
export class SessionTable {
  readonly #ports: AgentSessionPorts;
  readonly #owners = new Map<string, AgentSession>();
  readonly #sessions = new Map<AgentConnection, AgentSession[]>();
  readonly #takeovers = new Map<string, number[]>();
  /** What each client's last connection had when another one came with its name: the next to open it is who came. */
  readonly #takenOver = new Map<string, ReadonlySet<string>>();
  readonly #over = new WeakSet<AgentConnection>();
  /** Of each identity, the batches that earlier connections brought and the store has not decided on. */
  readonly #ending = new Map<string, Promise<void>>();

  constructor(ports: AgentSessionPorts) {
    this.#ports = ports;
  }

  /** Connections that have said who they are. */
  get agentCount(): number {
    return this.#sessions.size;
  }

  of(connection: AgentConnection): readonly AgentSession[] {
    return this.#sessions.get(connection) ?? [];
  }

  /** Resolves when the store has decided on all that earlier connections sent as this agent and epoch. */
  async ended(identity: Identity): Promise<void> {
    await this.#ending.get(keyOf(identity));
  }

  /** Throws UNREACHABLE when the connection is over. */
  open(identity: Identity, connection: AgentConnection): OpenedSession {
    if (this.#over.has(connection))
      throw new MeshError("UNREACHABLE", "The connection is over, or another one took its place");
    const key = keyOf(identity);
    const owner = this.#owners.get(key);
    if (owner?.connection === connection) return { session: owner, isClone: false };
    const session = new AgentSession(identity, connection, this.#ports);
    const isOther = owner !== undefined && owner.connection.clientId !== connection.clientId;
    if (isOther) return { session, isClone: true };
    if (owner !== undefined) this.#over.add(owner.connection);
    // Seen here when the takeover shows before the old connection's end.
    if (owner !== undefined && this.#retire(owner)) this.#noteTakeover(key);
    else this.#noteComer(connection, key);
    if (this.#isPingPong(key)) {
      this.#takeovers.delete(key);
      return { session, isClone: true };
    }
    this.#owners.set(key, session);
    this.#sessions.set(connection, [...this.#room(connection), session]);
    return { session, isClone: false };
  }

  remove(connection: AgentConnection, wasTakenOver: boolean): void {
    const lively = this.of(connection).filter((session) => this.#retire(session));
    this.#sessions.delete(connection);
    this.#over.add(connection);
    this.#takenOver.delete(connection.clientId);
    if (!wasTakenOver || lively.length === 0) return;
    this.#takenOver.set(connection.clientId, new Set(lively.map(keyOf)));
    dropOldest(this.#takenOver);
  }

  clear(): void {
    for (const session of this.#owners.values()) session.end();
    this.#owners.clear();
    this.#sessions.clear();
    this.#takeovers.clear();
    this.#takenOver.clear();
  }

  /** A connection has few epochs: the one its agent is in, and those it salvaged. */
  #room(connection: AgentConnection): readonly AgentSession[] {
    const sessions = this.of(connection);
    if (sessions.length < epochCountMax) return sessions;
    const [oldest, ...others] = sessions;
    if (oldest !== undefined) this.#retire(oldest);
    return others;
  }

  /** Returns whether it was in use a moment ago: a connection that nothing is heard of is taken over by its own agent. */
  #retire(session: AgentSession): boolean {
    session.end();
    const key = keyOf(session);
    this.#await(key, session);
    if (this.#owners.get(key) !== session) return false;
    this.#owners.delete(key);
    return this.#ports.clock.monotonicMs() - session.lastHeardMs < livelyMs;
  }

  #await(key: string, session: AgentSession): void {
    const before = this.#ending.get(key);
    const ending = Promise.all([before, session.settled()]).then(() => {
      if (this.#ending.get(key) === ending) this.#ending.delete(key);
    });
    this.#ending.set(key, ending);
  }

  /** Whoever put out the client's last connection with this epoch has the epoch too. */
  #noteComer({ clientId }: AgentConnection, key: string): void {
    const lost = this.#takenOver.get(clientId);
    if (lost?.has(key) !== true) return;
    this.#takenOver.set(clientId, new Set([...lost].filter((one) => one !== key)));
    this.#noteTakeover(key);
  }

  #noteTakeover(key: string): void {
    const nowMs = this.#ports.clock.monotonicMs();
    const recent = (this.#takeovers.get(key) ?? []).filter((at) => nowMs - at < takeoverSpanMs);
    this.#takeovers.delete(key);
    this.#takeovers.set(key, [...recent, nowMs].slice(-takeoverCountMax));
    dropOldest(this.#takeovers);
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

function dropOldest(map: Map<string, unknown>): void {
  if (map.size <= clientCountMax) return;
  const oldest = map.keys().next();
  if (!oldest.done) map.delete(oldest.value);
}

function keyOf({ agentId, epoch }: Identity): string {
  return `${epoch}/${agentId}`;
}
