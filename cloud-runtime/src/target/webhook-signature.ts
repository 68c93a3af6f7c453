import {
  createPrivateKey,
  createPublicKey,
  hash,
  sign as signEd25519,
  type KeyObject,
} from "node:crypto";
import { MeshError } from "@fleetmesh/core";
import type { DeliverySpec } from "../metadata/metadata.ts";

/** A body in a buffer with at least `signatureRoomBytes` before it that the signer may write over. */
export interface SignedBody {
  readonly bytes: Buffer;
  readonly start: number;
  readonly end: number;
}

type Sign = (content: SignedBody) => string;

const blockBytes = 64;
const digestBytes = 32;
const idAndTimestampBytesMax = 96;
/** What a signer may write over before a body. */
export const signatureRoomBytes = blockBytes + idAndTimestampBytesMax;
/** The longest of one signature in the header, with its separator. */
export const signatureCharsMax = "v1a,".length + 88 + 1;
/** The head of an ed25519 private key as PKCS #8 (RFC 8410, 7), before its 32 bytes. */
const pkcs8Head = Buffer.from("302e020100300506032b657004220420", "hex");

/** Standard Webhooks: signs with all keys at once, so that a receiver can change from the old to the new one in its own time. */
export class WebhookSigner {
  readonly #signs: readonly Sign[];

  /** Throws SUBSCRIPTION_INVALID. */
  constructor(secrets: readonly string[]) {
    this.#signs = secrets.map(signOf);
  }

  get count(): number {
    return this.#signs.length;
  }

  /** The value of `webhook-signature` for `id.timestamp.body`. */
  sign(id: string, timestamp: string, body: SignedBody): string {
    const { bytes, end } = body;
    const head = `${id}.${timestamp}.`;
    const start = body.start - head.length;
    bytes.write(head, start, "latin1");
    const content = { bytes, start, end };
    let value = "";
    for (const sign of this.#signs) value += value === "" ? sign(content) : ` ${sign(content)}`;
    return value;
  }
}

/** The secrets that a subscription signs with, new and old. */
export function signingSecretsOf({ signing }: Pick<DeliverySpec, "signing">): readonly string[] {
  if (!signing) return [];
  return [...(signing.secret === undefined ? [] : [signing.secret]), ...(signing.secrets ?? [])];
}

function signOf(secret: string): Sign {
  if (secret.startsWith("whsk_")) {
    const key = ed25519KeyOf(secret);
    return ({ bytes, start, end }) =>
      `v1a,${signEd25519(null, bytes.subarray(start, end), key).toString("base64")}`;
  }
  return hmacOf(hmacKeyOf(secret));
}

/**
 * HMAC-SHA256 (RFC 2104) of two one-shot hashes, over bytes that lie one behind the other already: half the CPU of an Hmac
 * object, and this runs for every push.
 */
function hmacOf(key: Buffer): Sign {
  const inner = Buffer.alloc(blockBytes, 0x36);
  const outer = Buffer.alloc(blockBytes + digestBytes, 0x5c);
  for (const [at, byte] of key.entries()) {
    inner[at] = byte ^ 0x36;
    outer[at] = byte ^ 0x5c;
  }
  return ({ bytes, start, end }) => {
    const from = start - blockBytes;
    inner.copy(bytes, from);
    outer.write(hash("sha256", bytes.subarray(from, end), "binary"), blockBytes, "latin1");
    return `v1,${hash("sha256", outer, "base64")}`;
  };
}

/** Of `whsec_` + base64 of 24 to 64 bytes (the prefix may be missing). */
function hmacKeyOf(secret: string): Buffer {
  if (secret.startsWith("whpk_"))
    throw invalid("whpk_ is the public key, which only checks; give the private one, whsk_");
  const key = bytesOf(secret.startsWith("whsec_") ? secret.slice("whsec_".length) : secret);
  if (key && key.length >= 24 && key.length <= blockBytes) return key;
  throw invalid("must be whsec_ followed by base64 of 24 to 64 random bytes");
}

/** Of `whsk_` + base64 of the private key: its 32 bytes, or these and the 32 of the public key behind them. */
function ed25519KeyOf(secret: string): KeyObject {
  const bytes = bytesOf(secret.slice("whsk_".length));
  if (bytes?.length !== 32 && bytes?.length !== 64)
    throw invalid("whsk_ must be followed by base64 of an ed25519 private key, 32 or 64 bytes");
  const der = Buffer.concat([pkcs8Head, bytes.subarray(0, 32)]);
  const key = createPrivateKey({ key: der, format: "der", type: "pkcs8" });
  if (bytes.length === 64 && publicKeyOf(key) !== bytes.toString("base64url", 32))
    throw invalid("the second half of the whsk_ key is not the public key of its first half");
  return key;
}

function publicKeyOf(key: KeyObject): string | undefined {
  return createPublicKey(key).export({ format: "jwk" }).x;
}

function bytesOf(text: string): Buffer | undefined {
  const isBase64 = /^[A-Za-z0-9+/]+={0,2}$/.test(text);
  return isBase64 ? Buffer.from(text, "base64") : undefined;
}

function invalid(text: string): MeshError {
  return new MeshError("SUBSCRIPTION_INVALID", `delivery.signing.secret: ${text}`, {
    details: { path: "delivery.signing.secret" },
  });
}
