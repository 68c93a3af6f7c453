import type { Part } from "@fleetmesh/core";
import { assertOwnHost, MeshError, toProblem } from "@fleetmesh/core";
import fastify, { type FastifyInstance, type FastifyReply } from "fastify";
import type { PanelConfig } from "./config.ts";
import { openApi } from "./open-api.ts";
import { readOverview, type Overview } from "./overview.ts";
import { page } from "./page.ts";

const overviewFreshMs = 1_000;

/** One page that shows whether the mesh lives: regions, agents and their numbers, with links to each. Loopback only by default. */
export class Panel implements Part {
  readonly name = "panel";
  readonly #config: PanelConfig;
  readonly #app: FastifyInstance;
  #overview: { readonly atMs: number; readonly read: Promise<Overview> } | undefined;

  constructor(config: PanelConfig) {
    this.#config = config;
    this.#app = fastify({
      logger: false,
      forceCloseConnections: true,
      frameworkErrors: (error, _request, reply) => sendProblem(reply, error),
    });
    this.#answerProblems();
    this.#addRoutes();
  }

  get port(): number {
    const address = this.#app.server.address();
    return typeof address === "object" && address !== null ? address.port : this.#config.port;
  }

  async start(): Promise<void> {
    const { host, port } = this.#config;
    await this.#app.listen({ host, port }).catch((cause: unknown) => {
      throw new MeshError(
        "PORT_TAKEN",
        `The panel cannot listen on ${host}:${port}: ${(cause as Error).message}`,
        { cause },
      );
    });
  }

  async stop(): Promise<void> {
    await this.#app.close();
  }

  #answerProblems(): void {
    this.#app.setErrorHandler((thrown, _request, reply) => sendProblem(reply, thrown));
    this.#app.setNotFoundHandler((_request, reply) =>
      sendProblem(reply, new MeshError("NOT_FOUND", "There is nothing at this path")),
    );
    this.#app.addHook("onRequest", (request, _reply, done) => {
      assertOwnHost(request.headers.host, this.#config.host);
      done();
    });
  }

  #addRoutes(): void {
    this.#app.addHook("onSend", (_request, reply, payload) => {
      void reply
        .header("x-content-type-options", "nosniff")
        .header("referrer-policy", "no-referrer");
      void reply.header(
        "content-security-policy",
        "default-src 'self' 'unsafe-inline'; frame-ancestors 'none'",
      );
      return Promise.resolve(payload);
    });
    this.#app.get("/", (_request, reply) => reply.type("text/html; charset=utf-8").send(page));
    this.#app.get("/v1/overview", () => this.#readOverview());
    this.#app.get("/openapi.json", () => openApi);
    this.#app.get("/livez", () => ({ status: "ok" }));
    this.#app.get("/readyz", () => ({ status: "ok" }));
  }

  /** However many browsers look, a region is asked once a second. */
  #readOverview(): Promise<Overview> {
    const nowMs = performance.now();
    if (this.#overview === undefined || nowMs - this.#overview.atMs > overviewFreshMs) {
      this.#overview = { atMs: nowMs, read: readOverview(this.#config) };
    }
    return this.#overview.read;
  }
}

function sendProblem(reply: FastifyReply, thrown: unknown): void {
  const error = isBadRequest(thrown)
    ? new MeshError("REQUEST_INVALID", thrown.message)
    : MeshError.from(thrown);
  void reply
    .code(error.status)
    .type("application/problem+json")
    .send(JSON.stringify(toProblem(error)));
}

function isBadRequest(thrown: unknown): thrown is Error {
  return thrown instanceof Error && "statusCode" in thrown && thrown.statusCode === 400;
}

export function createPanel(config: PanelConfig): Panel {
  return new Panel(config);
}
