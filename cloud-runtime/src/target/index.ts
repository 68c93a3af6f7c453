import type { Subscription } from "../metadata/metadata.ts";
import { hasSealedSecret } from "../secret/sealed-subscription.ts";
import { AccessTokens } from "./access-tokens.ts";
import { HostConnections } from "./host-connections.ts";
import { HttpTarget, type HttpTargetOptions } from "./http-target.ts";
import { SealedTarget } from "./sealed-target.ts";
import type { Target, TargetFactory } from "./target.ts";

type Protocol = Subscription["protocol"];

/** Every kind of target, by the subscription's protocol. */
const targets: Readonly<
  Record<Protocol, (subscription: Subscription, options: HttpTargetOptions) => Target>
> = {
  HTTP: (subscription, options) => new HttpTarget(subscription, options),
};

export interface TargetFactoryOptions extends HttpTargetOptions {
  /** At most so many connections to one host and port. */
  readonly connectionsPerHost?: number;
}

export function createTargetFactory(options: TargetFactoryOptions): TargetFactory {
  const { connectionsPerHost } = options;
  const shared = {
    tokens: new AccessTokens(options),
    ...(connectionsPerHost !== undefined && { hosts: new HostConnections(connectionsPerHost) }),
    ...options,
  };
  return (subscription) =>
    hasSealedSecret(subscription)
      ? new SealedTarget(subscription.stateReason ?? "a secret cannot be opened")
      : targets[subscription.protocol](subscription, shared);
}
