import type { TopicMatcher } from "@fleetmesh/core";

/** Who speaks, and what the token allows. */
export interface Principal {
  readonly name: string;
  mayPublish: TopicMatcher;
  maySubscribe: TopicMatcher;
  /** Manage subscriptions, dead letters and the like. */
  readonly isOperator: boolean;
  /** The one agent id this principal may send batches as; "*" for any (dev), undefined for none. */
  readonly agentId: string | undefined;
  /** Another region's link may read and append replicated events. */
  readonly isRegionLink: boolean;
  /** Wall clock; Infinity when the token does not expire. */
  readonly expiresMs: number;
}

/**
 * Checks a token. Guarantees: verified offline, without I/O that can block a door; constant-time where secrets are compared.
 * Errors: TOKEN_MISSING, TOKEN_INVALID with the reason (expired, revoked, bad signature, unknown key), never the token itself.
 */
export interface Authenticator {
  authenticate(token: string | undefined): Promise<Principal>;
}
