import type { AgentAck } from "@fleetmesh/core";

/** One live connection to the region. Never reused after it closed. */
export interface LinkConnection {
  /**
   * Sends one message of the batch wire format. Resolves when the region took it (PUBACK); rejects when the connection
   * failed first, which says nothing about whether it was stored.
   */
  send(batch: Uint8Array): Promise<void>;
  onAck(listener: (ack: AgentAck) => void): void;
  /** A command for this agent: a structured CloudEvent as bytes. */
  onCommand(listener: (payload: Uint8Array) => void): void;
  /** Resolves once, when the connection is gone, with the reason in words. */
  readonly closed: Promise<string>;
  close(): Promise<void>;
}

/**
 * How the agent reaches its region.
 * Guarantees: a connection that died without a word is found dead within `keepaliveMs` × 1.5. No queue of its own: what was
 * not acknowledged is the buffer's.
 * Errors: UPLINK_REFUSED with the broker's reason, UNREACHABLE.
 */
export interface UplinkLink {
  connect(signal: AbortSignal): Promise<LinkConnection>;
}
