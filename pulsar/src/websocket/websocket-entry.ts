import { MeshError, sleep } from "@fleetmesh/core";
import { currentToken, type TokenSource } from "../token-source.ts";
import { WebSocketSession, type WebSocketSessionOptions } from "./websocket-session.ts";

export interface WebSocketEntryOptions extends Pick<
  WebSocketSessionOptions,
  "tls" | "clock" | "keepAliveMs" | "requestMsMax"
> {
  /** Tried in turn until one answers. */
  readonly addresses: readonly string[];
  readonly token: TokenSource | undefined;
}

export interface SessionWish extends Pick<WebSocketSessionOptions, "asked" | "onText"> {
  /** Below the address, in segments that are not escaped yet. */
  readonly path: readonly string[];
  readonly query?: Readonly<Record<string, string | number>>;
}

/** What has just been closed is free at the broker a moment after its connection is gone. */
const takenMsMax = 1_000;
const retryMs = 50;

/** Opens WebSockets at one cluster. */
export class WebSocketEntry {
  readonly #options: WebSocketEntryOptions;
  #first = 0;

  constructor(options: WebSocketEntryOptions) {
    this.#options = options;
  }

  /** Errors: PULSAR_UNAVAILABLE, PULSAR_DENIED, PULSAR_FENCED, TOPIC_UNKNOWN. */
  async open(wish: SessionWish): Promise<WebSocketSession> {
    const { clock } = this.#options;
    const untilMs = clock.monotonicMs() + takenMsMax;
    for (;;) {
      try {
        return await this.#atAny(wish);
      } catch (error) {
        const isTaken = MeshError.is(error, "PULSAR_FENCED");
        if (!isTaken || clock.monotonicMs() >= untilMs) throw error;
        await sleep(clock, retryMs);
      }
    }
  }

  async #atAny(wish: SessionWish): Promise<WebSocketSession> {
    const { addresses } = this.#options;
    for (let tried = 1; ; tried += 1) {
      const address = addresses[this.#first % addresses.length] ?? "";
      try {
        return await this.#at(address, wish);
      } catch (error) {
        if (!MeshError.is(error, "PULSAR_UNAVAILABLE")) throw error;
        this.#first += 1;
        if (tried >= addresses.length) throw error;
      }
    }
  }

  async #at(address: string, { asked, onText, path, query = {} }: SessionWish) {
    const { token, tls, clock, keepAliveMs, requestMsMax } = this.#options;
    const place = path.map((segment) => encodeURIComponent(segment)).join("/");
    const parameters = new URLSearchParams();
    for (const [name, value] of Object.entries(query)) parameters.set(name, String(value));
    const url = `${address}/${place}?${parameters.toString()}`;
    const known = await currentToken(token);
    const session = { tls, clock, keepAliveMs, requestMsMax };
    return WebSocketSession.open({ ...session, url, asked, onText, token: known });
  }
}
