import { decodeStructured, MeshError } from "@fleetmesh/core";
import type { FastifyInstance } from "fastify";
import { assertOperator, principalOf } from "./access.ts";

export interface AgentRoutesPorts {
  readonly maxEventBytes: number;
  /** Of the whole request. */
  readonly commandBytesMax: number;
  /** How many connected clients hear this MQTT topic; only an agent may hear its own commands. */
  readonly receiverCount: (topic: string) => number;
  readonly publishTo: (topic: string, payload: Uint8Array) => Promise<void>;
}

interface ToAgent {
  readonly Params: { readonly agentId: string };
}

/**
 * `POST /v1/agents/{agentId}/commands`: one structured CloudEvent to a connected agent, for operators. 202 = it is on its
 * way; what became of it comes back as an event on `mesh.command.result` with the command's id as `causationid`.
 */
export function registerAgentRoutes(app: FastifyInstance, ports: AgentRoutesPorts): void {
  const { maxEventBytes, commandBytesMax: bodyLimit, receiverCount, publishTo } = ports;
  app.addContentTypeParser(
    "application/cloudevents+json",
    { parseAs: "buffer" },
    (_request, body, done) => done(null, body),
  );
  app.post<ToAgent>("/v1/agents/:agentId/commands", { bodyLimit }, async (request, reply) => {
    assertOperator(principalOf(request));
    const { agentId } = request.params;
    const { body } = request;
    if (!Buffer.isBuffer(body)) throw notACommand();
    const { id } = decodeStructured(body, { maxEventBytes });
    const topic = `commands/${agentId}`;
    if (receiverCount(topic) === 0) {
      throw new MeshError("NOT_FOUND", `Agent "${agentId}" is not connected to this region`);
    }
    await publishTo(topic, body);
    return reply.code(202).send({ agentId, id });
  });
}

function notACommand(): MeshError {
  return new MeshError("CONTENT_TYPE_UNSUPPORTED", "A command is one structured CloudEvent", {
    hint: "Send it as application/cloudevents+json.",
  });
}
