import type { Principal } from "@fleetmesh/door";

/** One live MQTT connection, as far as the agents' protocol needs it. */
export interface AgentConnection {
  readonly clientId: string;
  readonly principal: Principal;
  /** To this connection only, QoS 1; lost when the connection is: acknowledgements are cumulative. */
  send(topic: string, payload: Uint8Array): void;
}
