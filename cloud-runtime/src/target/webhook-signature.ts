import { createHmac } from "node:crypto";
import { MeshError } from "@fleetmesh/core";

const secretPrefix = "whsec_";

export interface SignedContent {
  readonly id: string;
  readonly timestampSeconds: number;
  readonly body: Uint8Array;
}

/** The key of a Standard Webhooks secret, `whsec_` + base64 of 24 to 64 bytes (the prefix may be missing). */
export function signingKey(secret: string): Buffer {
  const text = secret.startsWith(secretPrefix) ? secret.slice(secretPrefix.length) : secret;
  const key = Buffer.from(text, "base64");
  const isBase64 = /^[A-Za-z0-9+/]+={0,2}$/.test(text);
  if (isBase64 && key.length >= 24 && key.length <= 64) return key;
  throw new MeshError(
    "SUBSCRIPTION_INVALID",
    "delivery.signing.secret must be whsec_ followed by base64 of 24 to 64 random bytes",
    { details: { path: "delivery.signing.secret" } },
  );
}

/** Standard Webhooks v1: HMAC-SHA256 over `id.timestamp.body`. */
export function webhookSignature(key: Buffer, content: SignedContent): string {
  const mac = createHmac("sha256", key)
    .update(`${content.id}.${content.timestampSeconds}.`)
    .update(content.body)
    .digest("base64");
  return `v1,${mac}`;
}
