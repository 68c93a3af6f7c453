import { createHash, timingSafeEqual } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server } from "node:http";
import { MeshError, toProblem, type Part } from "@fleetmesh/core";
import type { Registry } from "prom-client";
import type { LinkStatus } from "./link-status.ts";
import type { RegionStatus } from "./region-status.ts";

export interface StatusAddress {
  readonly host: string;
  readonly port: number;
  readonly token?: string | undefined;
  readonly tokenFile?: string | undefined;
}

export interface StatusSources {
  readonly registry: Registry;
  readonly links: () => LinkStatus[];
  readonly regions: () => RegionStatus[];
}

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

const json = "application/json";

/** `/livez`, `/readyz` and `/metrics` of a bridge; with its token `/v1/links` and `/v1/regions`. */
export class StatusServer implements Part {
  readonly name = "bridge-status";
  readonly #address: StatusAddress;
  readonly #sources: StatusSources;
  #server: Server | undefined;

  constructor(address: StatusAddress, sources: StatusSources) {
    this.#address = address;
    this.#sources = sources;
  }

  get port(): number {
    const address = this.#server?.address();
    return typeof address === "object" && address !== null ? address.port : 0;
  }

  async start(): Promise<void> {
    const server = createServer((request, response) => {
      this.#answer(request).then(
        ({ status, type, body }) => response.writeHead(status, { "content-type": type }).end(body),
        () => response.writeHead(500).end(),
      );
    });
    server.maxConnections = 50;
    await new Promise<void>((resolve, reject) => {
      server.once("error", (cause) => reject(this.#taken(cause)));
      const { host, port } = this.#address;
      server.listen({ host, port }, resolve);
    });
    this.#server = server;
  }

  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (server === undefined) return;
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    server.closeAllConnections();
    await closed;
  }

  async #answer(request: IncomingMessage): Promise<Answer> {
    const [path = ""] = (request.url ?? "").split("?", 1);
    switch (path) {
      case "/livez":
      case "/readyz":
        return { status: 200, type: json, body: '{"status":"ok"}' };
      case "/metrics": {
        const { registry } = this.#sources;
        return { status: 200, type: registry.contentType, body: await registry.metrics() };
      }
      case "/v1/links":
        return this.#shown(request, () => ({ links: this.#sources.links() }));
      case "/v1/regions":
        return this.#shown(request, () => ({ regions: this.#sources.regions() }));
      default:
        return { status: 404, type: json, body: "{}" };
    }
  }

  /** Names of regions and topics are for who has the token. */
  async #shown(request: IncomingMessage, value: () => object): Promise<Answer> {
    const refused = await this.#refusal(request.headers.authorization);
    if (refused === undefined) return { status: 200, type: json, body: JSON.stringify(value()) };
    const type = "application/problem+json";
    return { status: refused.status, type, body: JSON.stringify(toProblem(refused)) };
  }

  async #refusal(authorization: string | undefined): Promise<MeshError | undefined> {
    const { token: text, tokenFile } = this.#address;
    const token = tokenFile === undefined ? text : (await readFile(tokenFile, "utf8")).trim();
    if (token === undefined || token === "")
      return new MeshError("NOT_PERMITTED", "The bridge has no token that would let in", {
        hint: "Give http.token or http.tokenFile in the bridge's configuration.",
      });
    if (authorization === undefined) return new MeshError("TOKEN_MISSING", "No token was given");
    const isRight = timingSafeEqual(digestOf(authorization), digestOf(`Bearer ${token}`));
    return isRight ? undefined : new MeshError("TOKEN_INVALID", "The token is not the bridge's");
  }

  #taken(cause: Error): MeshError {
    const { host, port } = this.#address;
    return new MeshError("PORT_TAKEN", `${host}:${port} cannot be listened on`, { cause });
  }
}

function digestOf(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
