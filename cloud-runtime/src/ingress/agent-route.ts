import { MeshError } from "@fleetmesh/core";
import type { MqttClientInfo, MqttPublish, Principal, PublishRoute } from "@fleetmesh/door";
import type { AgentConnection } from "./agent-connection.ts";
import type { AgentIngress } from "./agent-ingress.ts";

export interface AgentRouteOptions {
  readonly ingress: AgentIngress;
  /** To all that subscribe to the topic; only the agent itself may. */
  readonly publishTo: (topic: string, payload: Uint8Array) => Promise<void>;
  readonly onFault: (error: unknown) => void;
}

/**
 * `batches/{agentId}` of the MQTT door. An agent's client id is its agent id: MQTT then sees to it that one connection
 * at a time has it, and what is published to `acks/{agentId}` reaches that connection and no other.
 */
export class AgentRoute implements PublishRoute {
  readonly prefix = "batches/";
  readonly #options: AgentRouteOptions;
  readonly #connections = new Map<number, AgentConnection>();

  constructor(options: AgentRouteOptions) {
    this.#options = options;
  }

  async take(publish: MqttPublish): Promise<void> {
    const { rest: agentId, clientId, payload } = publish;
    if (clientId !== agentId) {
      throw new MeshError("NOT_PERMITTED", `Client "${clientId}" sends as agent "${agentId}"`, {
        hint: "An agent connects with its agent id as the MQTT client id.",
      });
    }
    await this.#options.ingress.receive(this.#connectionOf(publish), agentId, payload);
  }

  disconnected({ connectionId }: MqttClientInfo, wasTakenOver: boolean): void {
    const connection = this.#connections.get(connectionId);
    if (connection === undefined) return;
    this.#connections.delete(connectionId);
    this.#options.ingress.disconnected(connection, wasTakenOver);
  }

  #connectionOf({ connectionId, clientId, principal }: MqttPublish): AgentConnection {
    const known = this.#connections.get(connectionId);
    if (known !== undefined) return known;
    const connection: AgentConnection = {
      clientId,
      principal,
      send: (topic, payload) => {
        // Who is gone must not speak to who came after it.
        if (!this.#connections.has(connectionId)) return;
        this.#options.publishTo(topic, payload).catch(this.#options.onFault);
      },
    };
    this.#connections.set(connectionId, connection);
    return connection;
  }
}

/** An agent listens to its own acknowledgements and commands, and nobody listens to anything else at a runtime. */
export function mayAgentSubscribe(principal: Principal, clientId: string, filter: string): boolean {
  if (filter !== `acks/${clientId}` && filter !== `commands/${clientId}`) return false;
  return principal.agentId === "*" || principal.agentId === clientId;
}
