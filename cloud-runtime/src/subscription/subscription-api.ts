import { MeshError, nearestName } from "@fleetmesh/core";
import type { z } from "zod";
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

/** Checks a body as far as can be told without the network. Throws SUBSCRIPTION_INVALID naming every wrong field. */
export function parseSubscription(body: unknown, kept?: Subscription): SubscriptionBody {
  const result = subscriptionBody.safeParse(kept ? restoreSecrets(body, kept) : body);
  if (!result.success) throw invalidBody(result.error);
  // Compiled once here, so that what cannot be evaluated is refused before it is kept.
  new SubscriptionFilter(result.data);
  const secret = result.data.delivery.signing?.secret;
  if (secret !== undefined) signingKey(secret);
  return result.data;
}

/** A subscription as the API shows it: secrets are write-only. */
export function toAnswer(subscription: Subscription): Record<string, unknown> {
  const shown = { ...subscription, starts: undefined };
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

/** What was read can be written back: a redacted secret stays what it was. */
function restoreSecrets(body: unknown, kept: unknown): unknown {
  if (body === redacted && typeof kept === "string") return kept;
  if (typeof body !== "object" || body === null || Array.isArray(body)) return body;
  const source: Record<string, unknown> = typeof kept === "object" && kept ? { ...kept } : {};
  return mapValues(body, (name, value) => restoreSecrets(value, source[name]));
}

function invalidBody(error: z.ZodError): MeshError {
  const errors = error.issues.flatMap(problemsOf);
  const message = errors.map(({ field, message: text }) => `${field}: ${text}`).join("; ");
  return new MeshError("SUBSCRIPTION_INVALID", message.slice(0, 2_000), { details: { errors } });
}

function problemsOf(issue: z.core.$ZodIssue): { field: string; message: string }[] {
  const field = issue.path.join(".") || "body";
  if (issue.code === "invalid_key") return issue.issues.map(({ message }) => ({ field, message }));
  if (issue.code !== "unrecognized_keys") return [{ field, message: issue.message }];
  const known = issue.message.startsWith("known:") ? issue.message.slice(6).split(",") : [];
  return issue.keys.map((key) => {
    const near = nearestName(key, known);
    const suffix = near === undefined ? "" : ` - did you mean "${near}"?`;
    return { field: [...issue.path, key].join("."), message: `is not a known field${suffix}` };
  });
}
