import type { Subscription } from "../metadata/metadata.ts";
import type { KeyRing } from "./key-ring.ts";
import { isSealed, keyIdOf, seal, unseal } from "./seal.ts";
import { mapSecrets, secretsOf, type SecretHolder } from "./secret-fields.ts";

const lockedMark = "locked: ";

export interface Opened {
  readonly subscription: Subscription;
  /** A secret was not sealed, or with another key than the newest: it should be written again. */
  readonly isStale: boolean;
}

/** As it is kept at rest. What cannot be opened stays sealed as it is. */
export function sealedSubscription(subscription: Subscription, ring: KeyRing): Subscription {
  return mapSecrets(subscription, (text, path) =>
    isSealed(text) ? text : seal(text, placeOf(subscription, path), ring),
  );
}

/**
 * As it is used. Where a key is missing the secret stays sealed and the subscription is disabled, saying so, until the key is
 * back or the secret is given anew.
 */
export function openedSubscription(kept: Subscription, ring: KeyRing): Opened {
  let isStale = false;
  let why: string | undefined;
  const subscription = mapSecrets(kept, (text, path) => {
    const keyId = keyIdOf(text);
    if (keyId !== ring.newest.id && (keyId === undefined || ring.key(keyId))) isStale = true;
    if (keyId === undefined) return text;
    const opened = unseal(text, placeOf(kept, path), ring);
    if (opened === undefined) why ??= reasonOf(path, keyId, ring);
    return opened ?? text;
  });
  if (why !== undefined) return { subscription: locked(subscription, why), isStale };
  return { subscription: released(subscription), isStale };
}

/** Whether it cannot be used for want of a key. */
export function hasSealedSecret(of: SecretHolder): boolean {
  return secretsOf(of).some(isSealed);
}

/** As it was before a key was missing. */
export function released(subscription: Subscription): Subscription {
  const { state, stateReason } = subscription;
  if (stateReason?.startsWith(lockedMark) !== true) return subscription;
  const before = state === "disabled" ? "active" : state;
  return { ...subscription, state: before, stateReason: undefined };
}

function locked(subscription: Subscription, why: string): Subscription {
  const { state, stateReason } = subscription;
  const isLocked = stateReason?.startsWith(lockedMark) === true;
  // It has a reason of its own to be disabled.
  if (state === "disabled" && !isLocked) return subscription;
  return {
    ...subscription,
    state: state === "paused" ? "paused" : "disabled",
    stateReason: lockedMark + why,
  };
}

function reasonOf(path: string, keyId: string, ring: KeyRing): string {
  return ring.key(keyId)
    ? `${path} does not open with its key ${keyId}: it was changed, or comes from another subscription`
    : `${path} is sealed with the key ${keyId}, which is not in ${ring.path}`;
}

function placeOf({ id }: Subscription, path: string): string {
  return `${id}\0${path}`;
}
