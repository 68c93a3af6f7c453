import type { Chance, Clock } from "@fleetmesh/core";
import type { Subscription } from "../metadata/metadata.ts";
import { AccessTokenSource } from "./access-token.ts";
import { AddressGuard, type AddressRules } from "./address-guard.ts";
import { secureContextOf } from "./client-identity.ts";
import { guardedRequest } from "./guarded-request.ts";
import type { TokenCredential } from "./token-request.ts";

/** Keeps a refresh token that was given in place of another, in the subscription. Durable when it resolves. */
export type KeepRefreshToken = (subscription: string, from: string, to: string) => Promise<void>;

export interface AccessTokensOptions extends AddressRules {
  readonly clock: Clock;
  readonly chance: Chance;
  readonly keepRefreshToken?: KeepRefreshToken | undefined;
}

interface Known {
  readonly source: AccessTokenSource;
  readonly authorities: string | undefined;
}

const sourcesMax = 10_000;

/** The token sources of all subscriptions. They outlive a target: a subscription that is changed goes on with its token. */
export class AccessTokens {
  readonly #options: AccessTokensOptions;
  readonly #guard: AddressGuard;
  readonly #sources = new Map<string, Known>();

  constructor(options: AccessTokensOptions) {
    this.#options = options;
    this.#guard = new AddressGuard(options);
  }

  /** Undefined when the subscription's credential needs no fetching. */
  of(subscription: Subscription): AccessTokenSource | undefined {
    const { id, sinkcredential } = subscription;
    const credential = tokenCredentialOf(sinkcredential);
    if (!credential) return undefined;
    const known = this.#sources.get(id);
    const authorities = authoritiesOf(subscription);
    const isKept = known !== undefined && known.authorities === authorities;
    const isSame = isKept && known.source.isFor(credential);
    const source = isSame ? known.source : this.#open(id, credential, authorities);
    // The one that was asked for longest ago comes first, and goes first.
    this.#sources.delete(id);
    this.#sources.set(id, { source, authorities });
    const [oldest] = this.#sources.keys();
    if (this.#sources.size > sourcesMax && oldest !== undefined) this.#sources.delete(oldest);
    return source;
  }

  #open(
    id: string,
    credential: TokenCredential,
    authorities: string | undefined,
  ): AccessTokenSource {
    const { clock, chance, keepRefreshToken } = this.#options;
    // Whom we trust for the sink we trust for its token endpoint; who we are to the sink is not told there.
    const secureContext =
      authorities === undefined ? undefined : secureContextOf({ tls: { authorities } });
    const ports = { guard: this.#guard, clock };
    return new AccessTokenSource(credential, {
      ...{ clock, chance },
      request: (wanted) => guardedRequest({ ...wanted, secureContext }, ports),
      keepRefreshToken: async (from, to) => keepRefreshToken?.(id, from, to),
    });
  }
}

function authoritiesOf({ protocolsettings }: Subscription): string | undefined {
  const { tls } = protocolsettings;
  if (typeof tls !== "object" || tls === null || !("authorities" in tls)) return undefined;
  return typeof tls.authorities === "string" ? tls.authorities : undefined;
}

function tokenCredentialOf(given: Subscription["sinkcredential"]): TokenCredential | undefined {
  const { credentialtype } = given ?? {};
  const isFetched = credentialtype === "CLIENTCREDENTIALS" || credentialtype === "REFRESHTOKEN";
  return isFetched ? { ...given, credentialtype } : undefined;
}
