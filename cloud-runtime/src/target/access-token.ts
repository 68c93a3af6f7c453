import { Backoff, MeshError, type Chance, type Clock } from "@fleetmesh/core";
import type { GuardedAnswer, GuardedRequest } from "./guarded-request.ts";
import { tokenRequestOf, type TokenCredential } from "./token-request.ts";

export interface AccessTokenPorts {
  readonly clock: Clock;
  readonly chance: Chance;
  readonly request: (wanted: GuardedRequest) => Promise<GuardedAnswer>;
  /** The endpoint gave another refresh token in place of the first: durable when this resolves. */
  readonly keepRefreshToken: (from: string, to: string) => Promise<void>;
}

interface Token {
  readonly value: string;
  readonly fetchedMs: number;
  readonly endsMs: number;
}

const lifetimeMsDefault = 300_000;
const lifetimeMsMax = 24 * 3_600_000;
/** So long before its end a token is not used any more, or a tenth of its life where that is shorter. */
const marginMsMax = 60_000;
/** A sink that refuses a token younger than this would refuse the next one too. */
const freshMs = 10_000;
const tokenCharsMax = 8_192;
const fetchTimeoutMs = 10_000;
const pauses = { initialMs: 1_000, maxMs: 60_000, floor: 0.5 };

/**
 * The OAuth 2 access token of one subscription (RFC 6749, 4.4 and 6): fetched once for all deliveries that need it, kept until
 * shortly before its end. While the endpoint fails it is asked less and less often. No error repeats a secret.
 */
export class AccessTokenSource {
  readonly #ports: AccessTokenPorts;
  readonly #pauses: Backoff;
  #credential: TokenCredential;
  /** The refresh token that the subscription has. */
  #keptRefreshToken: string | undefined;
  #token: Token | undefined;
  /** The one before, which an answer may still repeat. */
  #lastToken: string | undefined;
  #fetching: Promise<string> | undefined;
  #failure: { readonly error: Error; readonly untilMs: number } | undefined;

  constructor(credential: TokenCredential, ports: AccessTokenPorts) {
    this.#credential = credential;
    this.#keptRefreshToken = credential.refreshtoken;
    this.#ports = ports;
    this.#pauses = new Backoff(pauses, ports.chance);
    this.#token = this.#given();
  }

  /** What is good to be sent now. */
  get current(): string | undefined {
    const token = this.#token;
    return token && this.#ports.clock.monotonicMs() < token.endsMs ? token.value : undefined;
  }

  /** Whatever it holds that must not be shown. */
  get secrets(): readonly string[] {
    const { refreshtoken, clientsecret } = this.#credential;
    const all = [this.#token?.value, this.#lastToken, refreshtoken, clientsecret];
    return all.filter((one) => one !== undefined);
  }

  /** The same credential, but for what this source has got in its place itself. */
  isFor(credential: TokenCredential): boolean {
    const bare = (one: TokenCredential): string =>
      JSON.stringify(Object.entries({ ...one, accesstoken: "", accesstokenexpiresutc: "" }).sort());
    return bare(this.#credential) === bare(credential);
  }

  /** Rejects with DELIVERY_FAILED. */
  fetch(): Promise<string> {
    const { clock } = this.#ports;
    const failure = this.#failure;
    if (failure && clock.monotonicMs() < failure.untilMs) return Promise.reject(failure.error);
    this.#fetching ??= this.#fetch().finally(() => (this.#fetching = undefined));
    return this.#fetching;
  }

  /** The sink did not take this token. Whether another one is worth a try. */
  refuse(value: string): boolean {
    const token = this.#token;
    // Somebody else has been given a newer one meanwhile.
    if (token?.value !== value) return true;
    if (this.#ports.clock.monotonicMs() - token.fetchedMs < freshMs) return false;
    this.#token = undefined;
    this.#lastToken = value;
    return true;
  }

  async #fetch(): Promise<string> {
    const { clock, request } = this.#ports;
    try {
      const wanted = { ...tokenRequestOf(this.#credential), timeoutMs: fetchTimeoutMs };
      const token = await this.#take(await request(wanted));
      this.#pauses.reset();
      this.#failure = undefined;
      return token;
    } catch (error) {
      const failed = MeshError.is(error) ? error : failure(wordOf(error));
      this.#failure = { error: failed, untilMs: clock.monotonicMs() + this.#pauses.next() };
      throw failed;
    }
  }

  async #take({ status, body }: GuardedAnswer): Promise<string> {
    const answer = objectOf(body);
    if (status !== 200) throw failure(`answered ${status}${reasonOf(answer)}`);
    const { access_token: value, token_type: type, expires_in: seconds } = answer;
    if (typeof value !== "string" || !isSendable(value)) throw failure("gave no usable token");
    if (typeof type !== "string" || type.toLowerCase() !== "bearer")
      throw failure("gave a token of another type than Bearer");
    await this.#takeRefreshToken(answer["refresh_token"]);
    const lifetimeMs = Number(seconds) > 0 ? Number(seconds) * 1_000 : lifetimeMsDefault;
    this.#lastToken = this.#token?.value ?? this.#lastToken;
    this.#token = this.#tokenFor(value, lifetimeMs);
    return value;
  }

  /** Before anything is done with what came along: the old one may be worth nothing any more. */
  async #takeRefreshToken(given: unknown): Promise<void> {
    const { refreshtoken } = this.#credential;
    if (refreshtoken === undefined) return;
    const next = typeof given === "string" ? given : refreshtoken;
    this.#credential = { ...this.#credential, refreshtoken: next };
    const kept = this.#keptRefreshToken;
    if (kept === undefined || kept === next) return;
    await this.#ports.keepRefreshToken(kept, next);
    this.#keptRefreshToken = next;
  }

  #given(): Token | undefined {
    const { accesstoken, accesstokenexpiresutc } = this.#credential;
    if (accesstoken === undefined || !isSendable(accesstoken)) return undefined;
    const endsMs = Date.parse(accesstokenexpiresutc ?? "") - this.#ports.clock.wallMs();
    // It may have been refused long since: it is no fresh one.
    const token = this.#tokenFor(accesstoken, Number.isNaN(endsMs) ? lifetimeMsDefault : endsMs);
    return { ...token, fetchedMs: -Infinity };
  }

  #tokenFor(value: string, lifetimeMs: number): Token {
    const fetchedMs = this.#ports.clock.monotonicMs();
    const usedMs = Math.min(lifetimeMs, lifetimeMsMax);
    return { value, fetchedMs, endsMs: fetchedMs + usedMs - Math.min(marginMsMax, usedMs / 10) };
  }
}

function failure(what: string): MeshError {
  return new MeshError("DELIVERY_FAILED", `The token endpoint ${what}`);
}

function wordOf(error: unknown): string {
  return `cannot be asked: ${error instanceof Error ? error.message : String(error)}`;
}

/** The error code of RFC 6749, 5.2, and nothing that the endpoint may have repeated. */
function reasonOf(answer: Readonly<Record<string, unknown>>): string {
  const { error } = answer;
  return typeof error === "string" && /^[a-z_]{1,40}$/.test(error) ? ` (${error})` : "";
}

function isSendable(token: string): boolean {
  return token.length <= tokenCharsMax && /^[\x21-\x7e]+$/.test(token);
}

function objectOf(body: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(body);
    return typeof value === "object" && value !== null ? { ...value } : {};
  } catch {
    return {};
  }
}
