import { createServer, type Server } from "node:http";
import { MeshError, type Part } from "@fleetmesh/core";
import type { Registry } from "prom-client";

/** `/livez`, `/readyz` and `/metrics` of a bridge that runs as a process of its own. */
export class StatusServer implements Part {
  readonly name = "bridge-status";
  readonly #address: { readonly host: string; readonly port: number };
  readonly #registry: Registry;
  #server: Server | undefined;

  constructor(address: { readonly host: string; readonly port: number }, registry: Registry) {
    this.#address = address;
    this.#registry = registry;
  }

  get port(): number {
    const address = this.#server?.address();
    return typeof address === "object" && address !== null ? address.port : 0;
  }

  async start(): Promise<void> {
    const server = createServer((request, response) => {
      this.#answer(request.url ?? "").then(
        ({ status, type, body }) => response.writeHead(status, { "content-type": type }).end(body),
        () => response.writeHead(500).end(),
      );
    });
    server.maxConnections = 50;
    await new Promise<void>((resolve, reject) => {
      server.once("error", (cause) => reject(this.#taken(cause)));
      server.listen(this.#address, resolve);
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

  async #answer(url: string): Promise<{ status: number; type: string; body: string }> {
    const json = "application/json";
    const path = url.split("?", 1)[0];
    if (path === "/livez" || path === "/readyz") {
      return { status: 200, type: json, body: '{"status":"ok"}' };
    }
    if (path === "/metrics") {
      const body = await this.#registry.metrics();
      return { status: 200, type: this.#registry.contentType, body };
    }
    return { status: 404, type: json, body: "{}" };
  }

  #taken(cause: Error): MeshError {
    const { host, port } = this.#address;
    return new MeshError("PORT_TAKEN", `${host}:${port} cannot be listened on`, { cause });
  }
}
