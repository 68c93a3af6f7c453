import type { ClientRequest, IncomingMessage } from "node:http";
import { MeshError, type Clock, type Timer } from "@fleetmesh/core";
import { WebSocket, type ClientOptions, type RawData } from "ws";
import { Deferred } from "../binary/deferred.ts";
import type { BrokerTls } from "../binary/broker-socket.ts";
import { webSocketRefusal } from "./websocket-refusal.ts";

export interface WebSocketSessionOptions {
  /** With path and query. */
  readonly url: string;
  /** What is asked, and the permission that it takes; for whoever reads the refusal. */
  readonly asked: string;
  readonly token: string | undefined;
  readonly tls: BrokerTls | undefined;
  readonly clock: Clock;
  readonly keepAliveMs: number;
  readonly requestMsMax: number;
  readonly onText: (text: string) => void;
}

const frameBytesMax = 64 * 1024 * 1024;
const pageBytesMax = 16 * 1024;
const unansweredMax = 2;

/** One open WebSocket: a producer, a consumer or a reader at the server for as long as it lasts. */
export class WebSocketSession {
  readonly #socket: WebSocket;
  readonly #options: WebSocketSessionOptions;
  readonly #lost = new Deferred<MeshError>();
  readonly #closed = new Deferred<undefined>();
  #isOver = false;
  #unanswered = 0;
  #timer: Timer | undefined;

  /** Errors: PULSAR_UNAVAILABLE, PULSAR_DENIED, PULSAR_FENCED, TOPIC_UNKNOWN. */
  static async open(options: WebSocketSessionOptions): Promise<WebSocketSession> {
    const session = new WebSocketSession(options);
    await session.#opened();
    return session;
  }

  private constructor(options: WebSocketSessionOptions) {
    this.#options = options;
    const { url, token, tls, requestMsMax } = options;
    const settings: ClientOptions = {
      ...(token === undefined ? {} : { headers: { authorization: `Bearer ${token}` } }),
      ...tls,
      handshakeTimeout: requestMsMax,
      maxPayload: frameBytesMax,
      perMessageDeflate: false,
    };
    this.#socket = new WebSocket(url, settings);
    // Before the first message can come.
    this.#socket.on("message", (data, isBinary) => this.#onMessage(data, isBinary));
    this.#socket.on("pong", () => (this.#unanswered = 0));
    this.#socket.on("close", (code, reason) => {
      this.#closed.resolve(undefined);
      this.#lose(this.#closedError(code, reason.toString()));
    });
  }

  /** Resolves, with the reason, when nothing can come or go any more. */
  get lost(): Promise<MeshError> {
    return this.#lost.promise;
  }

  /** Into the system's hands, in the order of the calls. */
  send(text: string): void {
    // An error ends the connection, which is told by its end.
    if (!this.#isOver) this.#socket.send(text, () => undefined);
  }

  /** Resolves when the server has taken leave, or does not in time. */
  async close(reason = new MeshError("STOPPING", "The connection is closed")): Promise<void> {
    const { clock, requestMsMax } = this.#options;
    this.#lose(reason);
    this.#socket.close(1000);
    const late = clock.setTimer(Math.min(requestMsMax, 5_000), () => this.#socket.terminate());
    await this.#closed.promise;
    late.cancel();
  }

  #opened(): Promise<void> {
    const socket = this.#socket;
    const { asked, token, clock, keepAliveMs } = this.#options;
    return new Promise((resolve, reject) => {
      socket.once("open", () => {
        this.#timer = clock.setTimer(keepAliveMs, () => this.#ping());
        resolve();
      });
      socket.once("unexpected-response", (request: ClientRequest, response: IncomingMessage) => {
        void pageOf(response).then((page) => {
          const refused = { asked, token, atMs: clock.wallMs() };
          reject(webSocketRefusal(refused, { status: response.statusCode ?? 0, page }));
          request.destroy();
        });
      });
      // Also after it was opened, where the end follows.
      socket.on("error", (cause) => {
        const text = `${this.#place} cannot be reached: ${cause.message}`;
        reject(new MeshError("PULSAR_UNAVAILABLE", text, { cause }));
      });
    });
  }

  #onMessage(data: RawData, isBinary: boolean): void {
    this.#unanswered = 0;
    if (this.#isOver || isBinary) return;
    try {
      this.#options.onText((data as Buffer).toString("utf8"));
    } catch (error) {
      // What cannot be understood must not be passed over.
      void this.close(MeshError.from(error));
    }
  }

  /** Counted, not timed: a process that stood still must not take the server for dead. */
  #ping(): void {
    if (this.#isOver) return;
    if (this.#unanswered >= unansweredMax) {
      this.#lose(new MeshError("PULSAR_UNAVAILABLE", `${this.#place} does not answer any more`));
      this.#socket.terminate();
      return;
    }
    this.#unanswered += 1;
    this.#socket.ping();
    const { clock, keepAliveMs } = this.#options;
    this.#timer = clock.setTimer(keepAliveMs, () => this.#ping());
  }

  #lose(reason: MeshError): void {
    this.#isOver = true;
    this.#timer?.cancel();
    this.#lost.resolve(reason);
  }

  #closedError(code: number, reason: string): MeshError {
    const { asked } = this.#options;
    const text = `The connection to ${this.#place} for ${asked} is gone (${code}) ${reason}`;
    return new MeshError("PULSAR_UNAVAILABLE", text.trim());
  }

  /** Without the query. */
  get #place(): string {
    return this.#options.url.split("?")[0] ?? "";
  }
}

async function pageOf(response: IncomingMessage): Promise<string> {
  let page = "";
  try {
    for await (const chunk of response) {
      page += String(chunk);
      if (page.length > pageBytesMax) break;
    }
  } catch {
    // What has come says enough.
  }
  return page;
}
