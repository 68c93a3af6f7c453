import type { FastifyInstance } from "fastify";
import type { Registry } from "prom-client";

export interface Health {
  /** Undefined = ready; otherwise what is missing, in words. */
  notReady(): string | undefined;
}

/** For probes and scrapers, without a token. */
export function registerHealthRoutes(
  app: FastifyInstance,
  health: Health,
  registry: Registry,
): void {
  app.get("/livez", () => ({ status: "ok" }));
  app.get("/readyz", (_request, reply) => {
    const reason = health.notReady();
    if (reason === undefined) return { status: "ok" };
    return reply.code(503).send({ status: "not ready", reason });
  });
  app.get("/metrics", async (_request, reply) =>
    reply.type(registry.contentType).send(await registry.metrics()),
  );
}
