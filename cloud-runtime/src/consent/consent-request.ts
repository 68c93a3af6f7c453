import type { Subscription } from "../metadata/metadata.ts";
import type { GuardedAnswer, GuardedRequest } from "../target/guarded-request.ts";
import { secureContextOf } from "../target/client-identity.ts";

/** What a sink said to being asked; `granted` without a rate: as many as are wanted. */
export type ConsentAnswer =
  | { readonly kind: "granted"; readonly ratePerMinute: number | undefined }
  | { readonly kind: "none"; readonly why: string };

export interface ConsentCaller {
  readonly origin: string;
  /** Where the sink may consent later. */
  readonly callbackUrl: string | undefined;
}

const timeoutMs = 15_000;

/** The validation request of the CloudEvents webhook spec, 4.1. No credential goes to whom has not consented. */
export function consentRequestOf(
  subscription: Subscription,
  { origin, callbackUrl }: ConsentCaller,
): GuardedRequest {
  const rate = requestedRateOf(subscription);
  const key = subscription.consent?.key;
  const headers = {
    "webhook-request-origin": origin,
    ...(rate !== undefined && { "webhook-request-rate": String(rate) }),
    ...(callbackUrl !== undefined &&
      key !== undefined && {
        "webhook-request-callback": callbackOf(callbackUrl, subscription.id, key),
      }),
  };
  const secureContext = secureContextOf(subscription.protocolsettings);
  return { method: "OPTIONS", url: subscription.sink, headers, timeoutMs, secureContext };
}

/** Consent is said in a header; a status means nothing (4.2). */
export function readConsent(
  { status, headers }: GuardedAnswer,
  origin: string,
  requested: number | undefined,
): ConsentAnswer {
  const allowed = oneOf(headers["webhook-allowed-origin"])?.trim();
  if (allowed === undefined)
    return { kind: "none", why: `OPTIONS answered ${status} without WebHook-Allowed-Origin` };
  if (allowed !== "*" && allowed.toLowerCase() !== origin.toLowerCase())
    return { kind: "none", why: "WebHook-Allowed-Origin names another origin" };
  return {
    kind: "granted",
    ratePerMinute: allowedRate(oneOf(headers["webhook-allowed-rate"]), requested),
  };
}

/** `*` is no limit; what is not said, or is no rate, is what was asked for. */
export function allowedRate(
  said: string | undefined,
  requested: number | undefined,
): number | undefined {
  const text = said?.trim();
  if (text === "*") return undefined;
  return text !== undefined && /^[1-9]\d{0,8}$/.test(text) ? Number(text) : requested;
}

export function requestedRateOf({ protocolsettings }: Subscription): number | undefined {
  const validation = protocolsettings["validation"];
  if (typeof validation !== "object" || validation === null) return undefined;
  const { ratePerMinute } = validation as { ratePerMinute?: unknown };
  return typeof ratePerMinute === "number" ? ratePerMinute : undefined;
}

/** Whether the subscription wants its sink asked. */
export function isValidated({ protocolsettings }: Pick<Subscription, "protocolsettings">): boolean {
  return protocolsettings["validation"] !== undefined;
}

function callbackOf(base: string, id: string, key: string): string {
  return `${base.replace(/\/+$/, "")}/v1/webhook-consents/${encodeURIComponent(id)}?key=${key}`;
}

function oneOf(value: string | readonly string[] | undefined): string | undefined {
  return typeof value === "string" ? value : value?.[0];
}
