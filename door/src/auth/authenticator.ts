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
  /** The token's own id, by which it can be revoked; a door closes long-lived connections by it. */
  readonly tokenId?: string | undefined;
}

/**
 * Checks a token. Guarantees: verified offline, without I/O that can block a door; constant-time where secrets are compared.
 * Errors: TOKEN_MISSING, TOKEN_INVALID with the reason (expired, revoked, bad signature, unknown key), never the token itself.
 */
export interface Authenticator {
  authenticate(token: string | undefined): Promise<Principal>;
  /**
   * The principal of a token that was verified before and is still valid, without any costly work; undefined when it
   * must be verified. Doors ask this first, so that who is known already is never held up by a throttled address.
   */
  recall?(token: string): Principal | undefined;
  /** True when the principal's token is revoked or expired since: asked about connections that live long. */
  isOver?(principal: Principal): boolean;
}
