import { MeshError } from "@fleetmesh/core";
import type { z } from "zod";
import { faultsOf } from "../api/request-faults.ts";
import { SubscriptionFilter } from "../filter/subscription-filter.ts";
import type { Subscription } from "../metadata/metadata.ts";
import { signingKey } from "../target/webhook-signature.ts";
import { subscriptionBody, type SubscriptionBody } from "./subscription-schema.ts";

export const redacted = "[redacted]";
const secretNames = /^(authorization|cookie)$|secret|token|api-?key|password/i;
/** Of the credential only these are told. */
const openCredentialFields = new Set([
  "credentialtype",
  "identifier",
  "accesstokentype",
  "accesstokenexpiresutc",
]);

/** Shown on reading and set by the mesh alone. */
const readOnlyFields = new Set(["state", "stateReason", "revision", "createdMs"]);

/** Checks a body as far as can be told without the network. Throws SUBSCRIPTION_INVALID naming every wrong field. */
export function parseSubscription(body: unknown, kept?: Subscription): SubscriptionBody {
  const result = subscriptionBody.safeParse(kept ? asWritten(body, kept) : body);
  if (!result.success) throw invalidBody(result.error);
  assertNoneRedacted(result.data);
  // Compiled once here, so that what cannot be evaluated is refused before it is kept.
  new SubscriptionFilter(result.data);
  const secret = result.data.delivery.signing?.secret;
  if (secret !== undefined) signingKey(secret);
  return result.data;
}

/** A subscription as the API shows it: secrets are write-only. */
export function toAnswer(subscription: Subscription): Record<string, unknown> {
  const shown = { ...subscription, starts: undefined, continues: undefined };
  const { delivery, sinkcredential, protocolsettings } = subscription;
  const signing = delivery.signing ? { signing: { secret: redacted } } : {};
  const credential = sinkcredential
    ? { sinkcredential: mapValues(sinkcredential, hideUnlessOpen) }
    : {};
  const { headers } = protocolsettings;
  const settings =
    typeof headers === "object" && headers !== null
      ? { protocolsettings: { ...protocolsettings, headers: mapValues(headers, hideSecret) } }
      : {};
  return { ...shown, ...credential, ...settings, delivery: { ...delivery, ...signing } };
}

function hideUnlessOpen(name: string, value: unknown): unknown {
  return openCredentialFields.has(name) ? value : redacted;
}

function hideSecret(name: string, value: unknown): unknown {
  return secretNames.test(name) ? redacted : value;
}

function mapValues(
  of: object,
  change: (name: string, value: unknown) => unknown,
): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(of).map(([name, value]: [string, unknown]) => [name, change(name, value)]),
  );
}

/** What was read can be written back: what only the mesh sets is left aside, a redacted secret stays what it was. */
function asWritten(body: unknown, kept: Subscription): unknown {
  if (typeof body !== "object" || body === null || Array.isArray(body)) return body;
  const given = Object.entries(body).filter(([name]) => !readOnlyFields.has(name));
  const wanted = Object.fromEntries(given) as Record<string, unknown>;
  return restoreSecrets(wanted, isSameReceiver(wanted["sink"], kept.sink) ? kept : signingOf(kept));
}

/** A secret that is sent along goes to whom it was given for only; the signing secret is never sent. */
function isSameReceiver(sink: unknown, kept: string): boolean {
  if (typeof sink !== "string" || !URL.canParse(sink)) return false;
  return new URL(sink).origin === new URL(kept).origin;
}

function signingOf({ delivery }: Subscription): unknown {
  return { delivery };
}

function assertNoneRedacted({ sinkcredential, protocolsettings }: SubscriptionBody): void {
  const sent = { ...protocolsettings.headers, ...sinkcredential };
  const field = Object.entries(sent).find(([, value]) => value === redacted)?.[0];
  if (field === undefined) return;
  throw new MeshError(
    "SUBSCRIPTION_INVALID",
    `${field}: must be given again; a secret is kept only while the sink's host stays the same`,
  );
}

function restoreSecrets(body: unknown, kept: unknown): unknown {
  if (body === redacted && typeof kept === "string") return kept;
  if (typeof body !== "object" || body === null || Array.isArray(body)) return body;
  const source: Record<string, unknown> = typeof kept === "object" && kept ? { ...kept } : {};
  return mapValues(body, (name, value) => restoreSecrets(value, source[name]));
}

function invalidBody(error: z.ZodError): MeshError {
  const errors = faultsOf(error).map(({ field, message }) => ({ field: field || "body", message }));
  const message = errors.map(({ field, message: text }) => `${field}: ${text}`).join("; ");
  return new MeshError("SUBSCRIPTION_INVALID", message.slice(0, 2_000), { details: { errors } });
}
