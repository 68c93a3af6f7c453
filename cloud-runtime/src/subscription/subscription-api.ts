import { hash } from "node:crypto";
import { MeshError } from "@fleetmesh/core";
import type { z } from "zod";
import { faultsOf } from "../api/request-faults.ts";
import { SubscriptionFilter } from "../filter/subscription-filter.ts";
import type { Subscription } from "../metadata/metadata.ts";
import { isSealed } from "../secret/seal.ts";
import { mapSecrets } from "../secret/secret-fields.ts";
import { secureContextOf } from "../target/client-identity.ts";
import { signingSecretsOf, WebhookSigner } from "../target/webhook-signature.ts";
import { subscriptionBody, type SubscriptionBody } from "./subscription-schema.ts";

export const redacted = "[redacted]";
/** Shown on reading and set by the mesh alone. */
const readOnlyFields = new Set(["state", "stateReason", "revision", "createdMs", "consent"]);

/** Checks a body as far as can be told without the network. Throws SUBSCRIPTION_INVALID naming every wrong field. */
export function parseSubscription(body: unknown, kept?: Subscription): SubscriptionBody {
  const result = subscriptionBody.safeParse(kept ? asWritten(body, kept) : body);
  if (!result.success) throw invalidBody(result.error);
  assertNoneRedacted(result.data);
  assertNoneSealed(result.data);
  // Compiled once here, so that what cannot be evaluated is refused before it is kept.
  new SubscriptionFilter(result.data);
  new WebhookSigner(signingSecretsOf(result.data.delivery));
  secureContextOf(result.data.protocolsettings);
  assertOneAuthorization(result.data);
  return result.data;
}

/** A subscription as the API shows it: secrets are write-only. */
export function toAnswer(subscription: Subscription): Record<string, unknown> {
  const hidden = mapSecrets(subscription, hide);
  const { consent } = subscription;
  const shown = consent && { ...consent, sink: undefined, key: undefined };
  return { ...hidden, consent: shown, starts: undefined, continues: undefined };
}

/** Of several signing secrets each is told apart, so that one can be put before those that were read. */
function hide(text: string, path: string): string {
  return path.startsWith("delivery.signing.secrets.") ? fingerprinted(text) : redacted;
}

/** Long random bytes cannot be found again by a hash of them; nothing else is shown like this. */
function fingerprinted(secret: string): string {
  return `[redacted ${hash("sha256", secret).slice(0, 8)}]`;
}

/** What was read can be written back: what only the mesh sets is left aside, a redacted secret stays what it was. */
function asWritten(body: unknown, kept: Subscription): unknown {
  if (typeof body !== "object" || body === null || Array.isArray(body)) return body;
  const given = Object.entries(body).filter(([name]) => !readOnlyFields.has(name));
  const wanted = Object.fromEntries(given) as Record<string, unknown>;
  return restoreSecrets(wanted, keptFor(wanted, kept));
}

/** A secret that is sent along goes only to whom it was given for; the signing secret is never sent. */
function keptFor(wanted: Readonly<Record<string, unknown>>, kept: Subscription): unknown {
  const { delivery, sinkcredential } = kept;
  if (!isSameOrigin(wanted["sink"], kept.sink)) return { delivery };
  const given = wanted["sinkcredential"];
  const fields: Readonly<Record<string, unknown>> = typeof given === "object" ? { ...given } : {};
  const isSameEndpoint = ["tokenendpoint", "refreshtokenendpoint"].every(
    (name) => fields[name] === undefined || isSameOrigin(fields[name], sinkcredential?.[name]),
  );
  return isSameEndpoint ? kept : { ...kept, sinkcredential: undefined };
}

function isSameOrigin(one: unknown, other: string | undefined): boolean {
  if (typeof one !== "string" || !URL.canParse(one)) return false;
  return other !== undefined && new URL(one).origin === new URL(other).origin;
}

function assertNoneRedacted(body: SubscriptionBody): void {
  let field: string | undefined;
  mapSecrets(body, (text, path) => {
    if (isRedacted(text)) field ??= path;
    return text;
  });
  if (field === undefined) return;
  throw new MeshError(
    "SUBSCRIPTION_INVALID",
    `${field}: must be given again; a secret is kept only in its own field, and while the sink's host stays the same`,
  );
}

/** What comes back from a subscription whose key is missing, or was made to look like it. */
function assertNoneSealed(body: SubscriptionBody): void {
  mapSecrets(body, (text, path) => {
    if (!isSealed(text)) return text;
    const why = `${path}: cannot be opened without its key; give the secret again`;
    throw new MeshError("SUBSCRIPTION_INVALID", why);
  });
}

function assertOneAuthorization({ protocolsettings, sinkcredential }: SubscriptionBody): void {
  if (!sinkcredential) return;
  const name = "headername" in sinkcredential ? sinkcredential.headername : "authorization";
  const headers = Object.keys(protocolsettings.headers ?? {});
  if (!headers.some((one) => one.toLowerCase() === name.toLowerCase())) return;
  const text = `protocolsettings.headers: ${name} is what sinkcredential sets`;
  throw new MeshError("SUBSCRIPTION_INVALID", text);
}

function isRedacted(text: string): boolean {
  return text === redacted || /^\[redacted [0-9a-f]{8}\]$/.test(text);
}

function restoreSecrets(body: unknown, kept: unknown): unknown {
  if (body === redacted && typeof kept === "string") return kept;
  if (Array.isArray(body)) return restoreEach(body, Array.isArray(kept) ? kept : [kept]);
  if (typeof body !== "object" || body === null) return body;
  const source: Record<string, unknown> = typeof kept === "object" && kept ? { ...kept } : {};
  const restored = Object.entries(body).map(
    ([name, value]: [string, unknown]) => [name, restoreSecrets(value, source[name])] as const,
  );
  return Object.fromEntries(restored);
}

/** Texts in whatever order they come back; objects in their places. */
function restoreEach(body: readonly unknown[], kept: readonly unknown[]): unknown[] {
  const known = kept.filter((one) => typeof one === "string");
  return body.map((one, at) =>
    typeof one === "string"
      ? (known.find((secret) => fingerprinted(secret) === one) ?? one)
      : restoreSecrets(one, kept[at]),
  );
}

function invalidBody(error: z.ZodError): MeshError {
  const errors = faultsOf(error).map(({ field, message }) => ({ field: field || "body", message }));
  const message = errors.map(({ field, message: text }) => `${field}: ${text}`).join("; ");
  return new MeshError("SUBSCRIPTION_INVALID", message.slice(0, 2_000), { details: { errors } });
}
