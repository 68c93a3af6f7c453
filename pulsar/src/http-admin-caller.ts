import { MeshError, type Clock } from "@fleetmesh/core";
import { Agent, request, type Dispatcher } from "undici";
import { tokenRefusal } from "./token-refusal.ts";

export interface HttpAdminCallerOptions {
  /** http://host:8080 or https://host:8443; several with commas between, tried in turn. */
  readonly url: string;
  /** Asked at each call, so that a fresh one is taken from its file. */
  readonly token?: (() => Promise<string>) | undefined;
  /** PEM of the authority that signed the brokers' certificates. */
  readonly ca?: string | undefined;
  /** For each call; 15 s when left out. */
  readonly callMsMax?: number | undefined;
  readonly clock: Clock;
}

export interface AdminCall {
  readonly method: "GET" | "PUT" | "POST" | "DELETE";
  /** Below /admin/v2/. */
  readonly path: string;
  readonly body?: unknown;
  /** Who may do this, in the words of Pulsar's permissions. Told when it is refused. */
  readonly needs: string;
  /** Statuses besides 2xx that are answers, too. */
  readonly also?: readonly number[];
  /** The body is thrown away. */
  readonly isHeadOnly?: boolean;
}

export interface AdminAnswer {
  readonly status: number;
  /** The JSON body; the text when it is none, undefined when it is empty or not wanted. */
  readonly body: unknown;
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, unknown>>;
}

interface SentCall extends AdminCall {
  readonly token: string | undefined;
}

const redirectsMax = 5;
const answerBytesMax = 64 * 1024 * 1024;
const deniedStatuses: readonly number[] = [401, 403];

/** Calls of Pulsar's REST API. Follows a broker's redirects to the one that owns the topic. */
export class HttpAdminCaller {
  readonly #options: HttpAdminCallerOptions;
  readonly #origins: readonly string[];
  readonly #agent: Agent;
  #first = 0;

  constructor(options: HttpAdminCallerOptions) {
    this.#options = options;
    this.#origins = options.url.split(",").map(originOf);
    const connect = options.ca === undefined ? {} : { ca: options.ca };
    this.#agent = new Agent({
      maxResponseSize: answerBytesMax,
      connect: { ...connect, timeout: 5_000 },
    });
  }

  /**
   * Errors: PULSAR_UNAVAILABLE, PULSAR_DENIED, PULSAR_TOKEN_EXPIRED; other statuses than 2xx only where the call knows them.
   */
  async call(asked: AdminCall): Promise<AdminAnswer> {
    const call = { ...asked, token: await this.#options.token?.() };
    const response = await this.#atAny(call);
    const { statusCode: status, headers } = response;
    const isHeadOnly = call.isHeadOnly === true && status < 300;
    if (isHeadOnly) await response.body.dump();
    const answer = { status, headers, body: isHeadOnly ? undefined : await bodyOf(response) };
    const isKnown = answer.status < 300 || call.also?.includes(answer.status) === true;
    if (isKnown) return answer;
    throw refusal(call, answer, this.#options.clock.wallMs());
  }

  async close(): Promise<void> {
    await this.#agent.destroy();
  }

  async #atAny(call: SentCall): Promise<Dispatcher.ResponseData> {
    const count = this.#origins.length;
    for (let tried = 1; ; tried += 1) {
      const origin = this.#origins[this.#first % count] ?? "";
      try {
        return await this.#follow(call, `${origin}/admin/v2/${call.path}`);
      } catch (cause) {
        this.#first += 1;
        if (tried >= count) throw unreachable(origin, call, cause);
      }
    }
  }

  async #follow(call: SentCall, url: string): Promise<Dispatcher.ResponseData> {
    let place = url;
    for (let redirects = 0; ; redirects += 1) {
      const response = await this.#ask(call, place);
      const { location } = response.headers;
      if (response.statusCode !== 307 || typeof location !== "string") return response;
      await response.body.dump();
      if (redirects === redirectsMax) throw new Error(`redirected ${redirects} times`);
      const next = new URL(location, place);
      // The token goes along: never from an encrypted connection to a plain one.
      if (place.startsWith("https:") && next.protocol !== "https:")
        throw new Error(`redirected to ${next.origin}, which is not encrypted`);
      place = next.href;
    }
  }

  async #ask({ method, body, token }: SentCall, url: string): Promise<Dispatcher.ResponseData> {
    const { callMsMax = 15_000 } = this.#options;
    const headers: Record<string, string> = { accept: "application/json, text/plain" };
    if (token !== undefined) headers["authorization"] = `Bearer ${token}`;
    if (body !== undefined) headers["content-type"] = "application/json";
    return request(url, {
      method,
      headers,
      dispatcher: this.#agent,
      signal: AbortSignal.timeout(callMsMax),
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  }
}

/** Throws CONFIG_INVALID for what is no web address. */
function originOf(text: string): string {
  const url = URL.canParse(text.trim()) ? new URL(text.trim()) : undefined;
  if (url?.protocol === "http:" || url?.protocol === "https:") return url.origin;
  throw new MeshError("CONFIG_INVALID", `"${text.slice(0, 200)}" is no web address of Pulsar`, {
    hint: "Write http://host:8080 or https://host:8443; several with commas between.",
  });
}

async function bodyOf(response: Dispatcher.ResponseData): Promise<unknown> {
  const text = await response.body.text().catch((cause: unknown) => {
    throw new MeshError("PULSAR_UNAVAILABLE", "Pulsar's answer broke off", { cause });
  });
  if (text === "") return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function refusal(call: SentCall, { status, body }: AdminAnswer, atMs: number): MeshError {
  const name = `${call.method} ${call.path}`;
  // To a superuser's calls it answers 401 also when it knows who asks: then with a reason, else with a page.
  const isStranger = status === 401 && objectOf(body)["reason"] === undefined;
  if (isStranger)
    return tokenRefusal(
      { asked: name, token: call.token, atMs, status },
      "the token is missing, wrong or expired",
    );
  if (deniedStatuses.includes(status))
    return new MeshError(
      "PULSAR_DENIED",
      `Pulsar refused ${name} (${status}): it needs ${call.needs}`,
    );
  const text = `Pulsar answered ${name} with ${status}: ${reasonOf(body)}`;
  return new MeshError("PULSAR_UNAVAILABLE", text, { details: { pulsarStatus: status } });
}

/** Of an unexpected error the broker tells its stack, too. */
const javaMessage = /^Message: (.+)$/m;

function reasonOf(body: unknown): string {
  const isObject = typeof body === "object" && body !== null;
  const reason: unknown = isObject && "reason" in body ? body.reason : body;
  const text = typeof reason === "string" ? reason : JSON.stringify(reason ?? "no reason");
  return (javaMessage.exec(text)?.[1] ?? text).slice(0, 300);
}

function unreachable(origin: string, { method, path }: AdminCall, cause: unknown): MeshError {
  if (MeshError.is(cause)) return cause;
  const text = cause instanceof Error ? cause.message : String(cause);
  const place = `${method} ${origin}/admin/v2/${path}`;
  return new MeshError("PULSAR_UNAVAILABLE", `${place} failed: ${text}`, { cause });
}

/** An answer's body as an object; an empty one when it is none. */
export const objectOf = (body: unknown): Readonly<Record<string, unknown>> =>
  typeof body === "object" && body !== null ? { ...body } : {};

/** An answer's body as a list of texts; an empty one when it is none. */
export const textsOf = (body: unknown): string[] => (Array.isArray(body) ? body.map(String) : []);
