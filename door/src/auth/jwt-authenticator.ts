import { createHash } from "node:crypto";
import { compileTopicPattern, MeshError, type Clock, type TopicMatcher } from "@fleetmesh/core";
import { createLocalJWKSet, errors, jwtVerify, type JSONWebKeySet, type JWTPayload } from "jose";
import type { Authenticator, Principal } from "./authenticator.ts";
import { tokenAudienceDefault, tokenIssuerDefault } from "./issue-token.ts";

export interface JwtAuthenticatorOptions {
  readonly clock: Clock;
  /** Public keys, as synchronised from the panel. */
  readonly keys: JSONWebKeySet;
  readonly issuer?: string;
  readonly audience?: string;
  /** How far the issuer's clock and ours may differ, milliseconds; default 30 s. */
  readonly leewayMs?: number;
  /** Verified tokens remembered; default 10,000. */
  readonly rememberMax?: number;
}

export type RefusalReason =
  "malformed" | "too_long" | "expired" | "revoked" | "bad_signature" | "unknown_key" | "claims";

// A token travels in a header: what is longer was never issued by us and is not worth a hash.
const tokenLengthMax = 8_192;
const patternCountMax = 1_000;

/**
 * Checks EdDSA tokens offline. Every token has an id, so that every token can be revoked. A verified token is remembered
 * by its hash (the token itself is never kept), and a recall looks at expiry and revocation again.
 */
export class JwtAuthenticator implements Authenticator {
  readonly #clock: Clock;
  readonly #issuer: string;
  readonly #audience: string;
  readonly #leewayMs: number;
  readonly #rememberMax: number;
  #keys: ReturnType<typeof createLocalJWKSet>;
  #generation = 0;
  #revoked: ReadonlySet<string> = new Set();
  readonly #remembered = new Map<string, Principal>();

  constructor(options: JwtAuthenticatorOptions) {
    this.#clock = options.clock;
    this.#keys = createLocalJWKSet(options.keys);
    this.#issuer = options.issuer ?? tokenIssuerDefault;
    this.#audience = options.audience ?? tokenAudienceDefault;
    this.#leewayMs = options.leewayMs ?? 30_000;
    this.#rememberMax = options.rememberMax ?? 10_000;
  }

  get rememberedCount(): number {
    return this.#remembered.size;
  }

  /** Takes effect at once: tokens of keys that are gone are refused from here on. */
  replaceKeys(keys: JSONWebKeySet): void {
    this.#keys = createLocalJWKSet(keys);
    this.#generation += 1;
    this.#remembered.clear();
  }

  replaceRevoked(tokenIds: ReadonlySet<string>): void {
    this.#revoked = new Set(tokenIds);
  }

  isOver(principal: Principal): boolean {
    if (principal.tokenId !== undefined && this.#revoked.has(principal.tokenId)) return true;
    return this.#clock.wallMs() >= principal.expiresMs + this.#leewayMs;
  }

  recall(token: string): Principal | undefined {
    if (token.length > tokenLengthMax) return undefined;
    const key = hashOf(token);
    const principal = this.#remembered.get(key);
    if (!principal || !this.isOver(principal)) return principal;
    this.#remembered.delete(key);
    return undefined;
  }

  async authenticate(token: string | undefined): Promise<Principal> {
    if (token === undefined || token === "") {
      throw new MeshError("TOKEN_MISSING", "No token was given");
    }
    if (token.length > tokenLengthMax) throw refused("too_long");
    const known = this.recall(token);
    if (known) return known;
    const generation = this.#generation;
    const principal = toPrincipal(await this.#verify(token));
    if (principal.tokenId !== undefined && this.#revoked.has(principal.tokenId)) {
      throw refused("revoked");
    }
    // Keys may have been replaced while the signature was checked.
    if (generation === this.#generation) this.#remember(hashOf(token), principal);
    return principal;
  }

  async #verify(token: string): Promise<JWTPayload> {
    try {
      const verified = await jwtVerify(token, this.#keys, {
        algorithms: ["EdDSA"],
        issuer: this.#issuer,
        audience: this.#audience,
        requiredClaims: ["sub", "jti", "mesh"],
        clockTolerance: this.#leewayMs / 1000,
        currentDate: new Date(this.#clock.wallMs()),
      });
      return verified.payload;
    } catch (cause) {
      throw refused(reasonOf(cause), cause);
    }
  }

  #remember(key: string, principal: Principal): void {
    if (this.#remembered.size >= this.#rememberMax) {
      for (const oldest of this.#remembered.keys()) {
        this.#remembered.delete(oldest);
        break;
      }
    }
    this.#remembered.set(key, principal);
  }
}

function hashOf(token: string): string {
  return createHash("sha256").update(token).digest("base64");
}

function refused(reason: RefusalReason, cause?: unknown): MeshError {
  return new MeshError("TOKEN_INVALID", `The token is not valid: ${reason.replace("_", " ")}`, {
    cause,
    details: { reason },
  });
}

function reasonOf(cause: unknown): RefusalReason {
  if (cause instanceof errors.JWTExpired) return "expired";
  if (cause instanceof errors.JWTClaimValidationFailed) return "claims";
  if (cause instanceof errors.JWSSignatureVerificationFailed) return "bad_signature";
  if (cause instanceof errors.JOSEAlgNotAllowed) return "bad_signature";
  if (cause instanceof errors.JWKSNoMatchingKey) return "unknown_key";
  if (cause instanceof errors.JWKSMultipleMatchingKeys) return "unknown_key";
  return "malformed";
}

function toPrincipal(payload: JWTPayload): Principal {
  const { sub, jti, exp } = payload;
  const mesh = payload["mesh"];
  if (!isText(sub) || !isText(jti) || !isRecord(mesh)) {
    throw refused("claims");
  }
  const agent = mesh["agent"];
  if (agent !== undefined && !isText(agent)) throw refused("claims");
  return {
    name: sub,
    mayPublish: matcherOf(mesh["publish"]),
    maySubscribe: matcherOf(mesh["subscribe"]),
    isOperator: mesh["operator"] === true,
    agentId: agent,
    isRegionLink: mesh["link"] === true,
    expiresMs: exp === undefined ? Infinity : exp * 1000,
    tokenId: jti,
  };
}

function isText(value: unknown): value is string {
  return typeof value === "string" && value !== "";
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function matcherOf(claim: unknown): TopicMatcher {
  if (claim === undefined) return () => false;
  if (!Array.isArray(claim) || claim.length > patternCountMax) throw refused("claims");
  const matchers = claim.map((pattern: unknown) => {
    if (typeof pattern !== "string") throw refused("claims");
    try {
      return compileTopicPattern(pattern);
    } catch (cause) {
      throw refused("claims", cause);
    }
  });
  if (matchers.length === 1 && matchers[0]) return matchers[0];
  return (topic) => matchers.some((matches) => matches(topic));
}
