import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import type { Duplex } from "node:stream";
import { MeshError, type Logger, type Part } from "@fleetmesh/core";
import type { HttpDoor } from "./http-door.ts";
import { listen, type ListenAddress } from "./listen-address.ts";
import { sendProblem } from "./problem.ts";
import { awaitingContinue } from "./request-body.ts";

export type RequestListener = (request: IncomingMessage, response: ServerResponse) => unknown;

export interface HttpServerLimits {
  readonly connectionsMax: number;
  /** Until the headers are complete; slow senders are cut. */
  readonly headersTimeoutMs: number;
  /** Until the whole request is in. */
  readonly requestTimeoutMs: number;
  readonly keepAliveTimeoutMs: number;
  readonly headerBytesMax: number;
}

const httpServerLimitsDefault: HttpServerLimits = {
  connectionsMax: 2_000,
  headersTimeoutMs: 10_000,
  requestTimeoutMs: 30_000,
  keepAliveTimeoutMs: 15_000,
  headerBytesMax: 32 * 1024,
};

export interface HttpServerOptions {
  readonly name?: string;
  readonly listen: ListenAddress;
  readonly door?: HttpDoor;
  /** Everything that is not the door's; without it, 404. */
  readonly fallback?: RequestListener;
  readonly logger: Logger;
  readonly limits?: Partial<HttpServerLimits>;
}

/** A node:http server as a part: bounded, drains on stop, and says PORT_TAKEN when its address is in use. */
export class HttpServer implements Part {
  readonly name: string;
  readonly #options: HttpServerOptions;
  readonly #limits: HttpServerLimits;
  #server: Server | undefined;
  #isStopping = false;
  readonly #open = new Set<ServerResponse>();
  readonly #sockets = new Set<Socket>();

  constructor(options: HttpServerOptions) {
    this.name = options.name ?? "http";
    this.#options = options;
    this.#limits = { ...httpServerLimitsDefault, ...options.limits };
  }

  /** The port in use: with `port: 0` the one that the system chose; 0 for a socket path or while stopped. */
  get port(): number {
    const address: AddressInfo | string | null | undefined = this.#server?.address();
    return typeof address === "object" && address !== null ? address.port : 0;
  }

  async start(): Promise<void> {
    if (this.#server) return;
    this.#isStopping = false;
    const server = this.#create();
    await listen(server, this.#options.listen);
    server.on("error", (error) => this.#options.logger.error({ err: error }, "Server failed."));
    this.#server = server;
  }

  async stop(deadline: AbortSignal): Promise<void> {
    const server = this.#server;
    if (!server) return;
    this.#isStopping = true;
    this.#server = undefined;
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    // Node leaves connections alone that never sent a byte, such as a browser's spare ones.
    for (const socket of this.#sockets) if (socket.bytesRead === 0) socket.destroy();
    // An answer that is still to come tells its sender to go elsewhere next time.
    for (const response of this.#open) {
      if (!response.headersSent) response.setHeader("connection", "close");
      response.once("close", () => setImmediate(() => server.closeIdleConnections()));
    }
    const cut = (): void => server.closeAllConnections();
    if (deadline.aborted) cut();
    else deadline.addEventListener("abort", cut, { once: true });
    await closed;
    deadline.removeEventListener("abort", cut);
  }

  #create(): Server {
    const limits = this.#limits;
    const server = createServer({
      headersTimeout: limits.headersTimeoutMs,
      requestTimeout: limits.requestTimeoutMs,
      keepAliveTimeout: limits.keepAliveTimeoutMs,
      maxHeaderSize: limits.headerBytesMax,
      connectionsCheckingInterval: Math.min(1_000, limits.headersTimeoutMs),
      noDelay: true,
    });
    server.maxConnections = limits.connectionsMax;
    server.on("connection", (socket: Socket) => {
      this.#sockets.add(socket);
      socket.once("close", () => this.#sockets.delete(socket));
    });
    server.on("request", (request, response) => this.#answer(request, response));
    server.on("checkContinue", (request: IncomingMessage, response: ServerResponse) => {
      awaitingContinue.add(request);
      this.#answer(request, response);
    });
    server.on("clientError", onClientError);
    return server;
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    if (this.#isStopping) {
      response.setHeader("connection", "close");
      sendProblem(response, new MeshError("STOPPING", "The process is stopping"));
      return;
    }
    this.#open.add(response);
    response.once("close", () => this.#open.delete(response));
    request.url = originForm(request.url ?? "/");
    const { door, fallback, logger } = this.#options;
    if (door?.handles(request)) {
      void door.handle(request, response);
      return;
    }
    if (awaitingContinue.delete(request)) response.writeContinue();
    if (!fallback) {
      sendProblem(response, new MeshError("NOT_FOUND", "There is nothing at this path"));
      return;
    }
    Promise.resolve()
      .then(() => fallback(request, response))
      .catch((thrown: unknown) => {
        const error = MeshError.from(thrown);
        // What the sender did wrong is for the sender: anybody could fill the log with it.
        if (error.status >= 500) logger.error({ err: thrown }, "Request failed.");
        sendProblem(response, error);
      });
  }
}

/** A proxy may spell out scheme and host (RFC 9112, 3.2.2); the path means the same. */
function originForm(url: string): string {
  if (url.startsWith("/")) return url;
  const [authority] = /^https?:\/\/[^/?#]*/i.exec(url) ?? [];
  if (authority === undefined) return url;
  const rest = url.slice(authority.length);
  return rest.startsWith("/") ? rest : `/${rest}`;
}

/** What is not HTTP, too slow or too large in its headers gets one short answer and the connection is closed. */
function onClientError(error: Error, socket: Duplex): void {
  const code = "code" in error ? error.code : undefined;
  if (code === "ECONNRESET" || !socket.writable || hasAnswered(socket)) {
    socket.destroy();
    return;
  }
  const status = statusTextOf(code);
  socket.end(`HTTP/1.1 ${status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`, () => {
    socket.destroy();
  });
}

function hasAnswered(socket: Duplex): boolean {
  return "bytesWritten" in socket && socket.bytesWritten !== 0;
}

function statusTextOf(code: unknown): string {
  if (code === "HPE_HEADER_OVERFLOW") return "431 Request Header Fields Too Large";
  if (code === "ERR_HTTP_REQUEST_TIMEOUT") return "408 Request Timeout";
  return "400 Bad Request";
}
