import { MeshError } from "@fleetmesh/core";
import { bearerToken, type Admission, type Principal } from "@fleetmesh/door";
import type { FastifyInstance, FastifyRequest } from "fastify";

const principals = new WeakMap<FastifyRequest, Principal>();

/** Nothing under /v1 without a valid token. The check comes before routing's answer, so a stranger learns no names. */
export function requireToken(app: FastifyInstance, admission: Admission): void {
  app.addHook("onRequest", async (request) => {
    if (!isGuarded(request.url)) return;
    const token = bearerToken(request.raw);
    principals.set(request, await admission.admit(token, request.socket.remoteAddress ?? ""));
  });
}

function isGuarded(url: string): boolean {
  return url === "/v1" || url.startsWith("/v1/") || url.startsWith("/v1?");
}

export function principalOf(request: FastifyRequest): Principal {
  const principal = principals.get(request);
  if (principal === undefined) throw new MeshError("TOKEN_MISSING", "No token was given");
  return principal;
}

export function assertMaySubscribe(principal: Principal, topic: string): void {
  if (principal.maySubscribe(topic)) return;
  throw new MeshError("NOT_PERMITTED", `The token does not permit reading "${topic}"`);
}

export function assertOperator(principal: Principal): void {
  if (principal.isOperator) return;
  throw new MeshError("NOT_PERMITTED", "Only an operator's token permits this");
}
