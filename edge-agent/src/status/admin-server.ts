import type { IncomingMessage, ServerResponse } from "node:http";
import { assertOwnHost, MeshError, type Logger } from "@fleetmesh/core";
import { HttpServer, pathOf } from "@fleetmesh/door";
import type { EdgeLedger } from "../agent/edge-ledger.ts";
import type { AgentStatus } from "./agent-status.ts";
import { statusPage } from "./status-page.ts";

export interface AdminSource {
  status(): Promise<AgentStatus>;
  ledger(): Promise<EdgeLedger>;
  metricsText(): Promise<string>;
  /** Why the doors cannot take events now; undefined when they can. */
  unready(): Promise<string | undefined>;
}

interface Answer {
  readonly status?: number;
  readonly type: string;
  readonly body: string;
}

const json = (value: unknown, status = 200): Answer => ({
  status,
  type: "application/json",
  body: JSON.stringify(value),
});

/** The agent's own port: probes, metrics, ledger and a page for people. Reads only, and no token: it belongs on loopback. */
export function createAdminServer(
  listen: { readonly host: string; readonly port: number },
  source: AdminSource,
  logger: Logger,
): HttpServer {
  const routes: Readonly<Record<string, () => Promise<Answer>>> = {
    "/": () => Promise.resolve({ type: "text/html; charset=utf-8", body: statusPage }),
    "/livez": () => Promise.resolve(json({ status: "ok" })),
    "/readyz": async () => {
      const reason = await source.unready();
      return reason === undefined ? json({ status: "ok" }) : json({ status: "no", reason }, 503);
    },
    "/metrics": async () => ({
      type: "text/plain; version=0.0.4; charset=utf-8",
      body: await source.metricsText(),
    }),
    "/status.json": async () => json(await source.status()),
    "/v1/ledger": async () => json(await source.ledger()),
  };
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    assertOwnHost(request.headers.host, listen.host);
    const route = routes[pathOf(request.url ?? "/")];
    if (route === undefined || (request.method !== "GET" && request.method !== "HEAD")) {
      throw new MeshError("NOT_FOUND", "The admin port answers GET on its few paths only");
    }
    const { status = 200, type, body } = await route();
    response.writeHead(status, {
      "content-type": type,
      "content-length": Buffer.byteLength(body),
      "cache-control": "no-store",
      "x-content-type-options": "nosniff",
      "content-security-policy":
        "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; frame-ancestors 'none'",
    });
    response.end(request.method === "HEAD" ? undefined : body);
  };
  return new HttpServer({ name: "admin", listen, fallback: answer, logger });
}
