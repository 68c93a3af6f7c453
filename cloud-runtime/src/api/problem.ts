import { catalogue, MeshError, type ErrorName, type Logger } from "@fleetmesh/core";
import { problemAnswer } from "@fleetmesh/door";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { z } from "zod";
import { faultsOf } from "./request-faults.ts";
import { RouteMethods } from "./route-methods.ts";

/** fastify's own refusals in the mesh's words. */
const kindOfStatus: Readonly<Record<number, ErrorName>> = {
  404: "NOT_FOUND",
  413: "BATCH_TOO_LARGE",
  415: "CONTENT_TYPE_UNSUPPORTED",
  429: "OVERLOADED",
  503: "STOPPING",
};

interface ProblemPorts {
  readonly logger: Logger;
  /** A token lacked a permission, on the topic in the path when there is one. */
  readonly onNotPermitted: (topic: string | undefined) => void;
}

/** Every error of the API, fastify's own included, leaves as RFC 9457 `application/problem+json`. */
export function answerProblems(
  app: FastifyInstance,
  { logger, onNotPermitted }: ProblemPorts,
): void {
  const methods = new RouteMethods(app);
  app.setErrorHandler((thrown, request, reply) => {
    const error = toMeshError(thrown);
    if (error.kind === "NOT_PERMITTED") onNotPermitted(topicOf(request));
    if (error.status >= 500) {
      const path = request.url.split("?", 1)[0];
      logger.error({ err: thrown, code: error.code, path }, "Request failed.");
    }
    return sendProblem(reply, error);
  });
  app.setNotFoundHandler((request, reply) => {
    const path = request.url.split("?", 1)[0] ?? "";
    const allowed = methods.of(path);
    if (allowed.length > 0) void reply.header("allow", allowed.join(", "));
    return sendProblem(reply, notFound(request.method, path, allowed));
  });
}

/** What fastify refuses before any hook or route, such as a path that is not UTF-8. */
export function sendFrameworkProblem(
  error: Error,
  _request: FastifyRequest,
  reply: FastifyReply,
): void {
  void sendProblem(reply, toMeshError(error));
}

function topicOf({ params }: FastifyRequest): string | undefined {
  if (typeof params !== "object" || params === null || !("topic" in params)) return undefined;
  return typeof params.topic === "string" ? params.topic : undefined;
}

function notFound(method: string, path: string, allowed: readonly string[]): MeshError {
  const shown = path.slice(0, 200);
  return allowed.length === 0
    ? new MeshError("NOT_FOUND", `There is nothing at ${method} ${shown}`)
    : new MeshError("METHOD_NOT_ALLOWED", `${shown} takes ${allowed.join(", ")}, not ${method}`);
}

function sendProblem(reply: FastifyReply, error: MeshError): FastifyReply {
  const { status, headers, body } = problemAnswer(error);
  return reply.code(status).headers(headers).send(body);
}

function toMeshError(thrown: unknown): MeshError {
  if (MeshError.is(thrown)) return thrown;
  if (thrown instanceof z.ZodError) return invalid(thrown);
  const status = thrown instanceof Error && "statusCode" in thrown ? thrown.statusCode : undefined;
  if (typeof status !== "number" || status >= 500) return MeshError.from(thrown);
  const kind = kindOfStatus[status] ?? "REQUEST_INVALID";
  return new MeshError(kind, thrown instanceof Error ? thrown.message : catalogue[kind].title);
}

function invalid(error: z.ZodError): MeshError {
  const errors = faultsOf(error);
  const [first] = errors;
  const where = first === undefined || first.field === "" ? "" : `"${first.field}": `;
  return new MeshError("REQUEST_INVALID", `${where}${first?.message ?? "not valid"}`, {
    details: { errors },
  });
}
