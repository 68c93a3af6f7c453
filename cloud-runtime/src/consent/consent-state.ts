import { hash, randomBytes, timingSafeEqual } from "node:crypto";
import type { Consent, Subscription } from "../metadata/metadata.ts";
import { isValidated } from "./consent-request.ts";

type State = Pick<Subscription, "state" | "stateReason" | "consent">;

/** Where a subscription to this sink stands that is new, or whose sink has changed. */
export function consentState(
  wanted: Pick<Subscription, "sink" | "protocolsettings">,
  kept?: Subscription,
): State {
  const state = kept?.state ?? "active";
  const stateReason = kept?.stateReason;
  if (!isValidated(wanted)) {
    if (state === "pending") return { state: "active", stateReason: undefined, consent: undefined };
    return { state, stateReason, consent: undefined };
  }
  const isAsked = kept?.consent?.sink === wanted.sink && isSameWish(wanted, kept);
  if (isAsked) return { state, stateReason, consent: kept.consent };
  const consent: Consent = { sink: wanted.sink, key: randomBytes(32).toString("base64url") };
  if (state !== "active" && state !== "pending") return { state, stateReason, consent };
  return { state: "pending", stateReason: "the sink has not consented yet", consent };
}

/** What `resume` leads to: nothing is sent to a sink that was to be asked and has not consented. */
export function resumedState(subscription: Subscription): "active" | "pending" {
  const isGranted = subscription.consent?.grantedMs !== undefined;
  return isValidated(subscription) && !isGranted ? "pending" : "active";
}

/** The same subscription with its sink's consent. Paused or disabled it stays so. */
export function granted(
  kept: Subscription,
  by: { readonly atMs: number; readonly ratePerMinute: number | undefined },
): Subscription {
  const { sink, state, stateReason } = kept;
  const consent: Consent = {
    sink,
    grantedMs: Math.floor(by.atMs),
    ...(by.ratePerMinute !== undefined && { ratePerMinute: by.ratePerMinute }),
  };
  const next = state === "pending" ? ({ state: "active" } as const) : { state, stateReason };
  return { ...kept, stateReason: undefined, ...next, consent, revision: kept.revision + 1 };
}

/** In constant time. A key is used once: it is gone with the consent. */
export function isConsentKey(kept: Subscription | undefined, given: string): boolean {
  const key = kept?.consent?.key;
  const [one, other] = [digest(key ?? ""), digest(given)];
  return timingSafeEqual(one, other) && key !== undefined;
}

function isSameWish(
  { protocolsettings: one }: Pick<Subscription, "protocolsettings">,
  { protocolsettings: other }: Subscription,
): boolean {
  return JSON.stringify(one["validation"]) === JSON.stringify(other["validation"]);
}

function digest(text: string): Buffer {
  return Buffer.from(hash("sha256", text), "hex");
}
