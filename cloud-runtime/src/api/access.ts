import { isOwnHost, MeshError } from "@fleetmesh/core";
import { bearerToken, pathOf, type Admission, type Principal } from "@fleetmesh/door";
import type { FastifyInstance, FastifyRequest } from "fastify";

const principals = new WeakMap<FastifyRequest, Principal>();

/** Nothing but the probes without a valid token. The check comes before routing's answer, so a stranger learns no names. */
export function requireToken(app: FastifyInstance, admission: Admission): void {
  app.addHook("onRequest", async (request) => {
    const address = request.socket.remoteAddress ?? "";
    if (isOpen(request, address)) return;
    principals.set(request, await admission.admit(bearerToken(request.raw), address));
  });
}

/**
 * Probes are for everybody; the metrics name topics and subscriptions, so from elsewhere they take a token too. Judged by
 * the route that was found, not by the path's spelling: `/%76%31/...` is routed like `/v1/...`.
 */
function isOpen(request: FastifyRequest, address: string): boolean {
  const route = request.routeOptions.url;
  if (route === undefined) return !pathOf(request.url).startsWith("/v1");
  if (route === "/metrics")
    return isLoopback(address) && isOwnHost(request.headers.host, "localhost");
  // Whoever has the key that a sink was sent.
  if (route.startsWith("/v1/webhook-consents/")) return true;
  return route === "/livez" || route === "/readyz";
}

function isLoopback(address: string): boolean {
  return address === "::1" || /^(::ffff:)?127\./.test(address);
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
