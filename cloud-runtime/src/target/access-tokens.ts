import type { Chance, Clock } from "@fleetmesh/core";
import type { Subscription } from "../metadata/metadata.ts";
import { AccessTokenSource } from "./access-token.ts";
import { AddressGuard, type AddressRules } from "./address-guard.ts";
import { guardedRequest } from "./guarded-request.ts";
import type { TokenCredential } from "./token-request.ts";

/** Keeps a refresh token that was given in place of another, in the subscription. Durable when it resolves. */
export type KeepRefreshToken = (subscription: string, from: string, to: string) => Promise<void>;

export interface AccessTokensOptions extends AddressRules {
  readonly clock: Clock;
  readonly chance: Chance;
  readonly keepRefreshToken?: KeepRefreshToken | undefined;
}

const sourcesMax = 10_000;

/** The token sources of all subscriptions. They outlive a target: a subscription that is changed goes on with its token. */
export class AccessTokens {
  readonly #options: AccessTokensOptions;
  readonly #guard: AddressGuard;
  readonly #sources = new Map<string, AccessTokenSource>();

  constructor(options: AccessTokensOptions) {
    this.#options = options;
    this.#guard = new AddressGuard(options);
  }

  /** Undefined when the subscription's credential needs no fetching. */
  of({ id, sinkcredential }: Subscription): AccessTokenSource | undefined {
    const credential = tokenCredentialOf(sinkcredential);
    if (!credential) return undefined;
    const known = this.#sources.get(id);
    const source = known?.isFor(credential) ? known : this.#open(id, credential);
    // The one that was asked for longest ago comes first, and goes first.
    this.#sources.delete(id);
    this.#sources.set(id, source);
    const [oldest] = this.#sources.keys();
    if (this.#sources.size > sourcesMax && oldest !== undefined) this.#sources.delete(oldest);
    return source;
  }

  #open(id: string, credential: TokenCredential): AccessTokenSource {
    const { clock, chance, keepRefreshToken } = this.#options;
    const ports = { guard: this.#guard, clock };
    return new AccessTokenSource(credential, {
      ...{ clock, chance },
      request: (wanted) => guardedRequest(wanted, ports),
      keepRefreshToken: async (from, to) => keepRefreshToken?.(id, from, to),
    });
  }
}

function tokenCredentialOf(given: Subscription["sinkcredential"]): TokenCredential | undefined {
  const { credentialtype } = given ?? {};
  const isFetched = credentialtype === "CLIENTCREDENTIALS" || credentialtype === "REFRESHTOKEN";
  return isFetched ? { ...given, credentialtype } : undefined;
}
