import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import type { KeyRing } from "./key-ring.ts";

const mark = "$sealed$";
const form = /^\$sealed\$([0-9a-f]{12})\$([A-Za-z0-9_-]+)$/;
const cipher = "aes-256-gcm";
const nonceBytes = 12;
const tagBytes = 16;

/** No secret that is given may look like one that is sealed. */
export function isSealed(text: string): boolean {
  return text.startsWith(mark);
}

/** AES-256-GCM under the newest key. What is sealed opens in its own `place` only: it cannot be copied to another. */
export function seal(text: string, place: string, ring: KeyRing): string {
  const { id, bytes } = ring.newest;
  const nonce = randomBytes(nonceBytes);
  const sealing = createCipheriv(cipher, bytes, nonce).setAAD(Buffer.from(place));
  const parts = [nonce, sealing.update(text, "utf8"), sealing.final(), sealing.getAuthTag()];
  return `${mark}${id}$${Buffer.concat(parts).toString("base64url")}`;
}

/** What the key of a sealed text is called; undefined where it is not one. */
export function keyIdOf(sealed: string): string | undefined {
  return form.exec(sealed)?.[1];
}

/** Undefined when the key is missing, or when it was changed or belongs elsewhere. */
export function unseal(sealed: string, place: string, ring: KeyRing): string | undefined {
  const [, id = "", text = ""] = form.exec(sealed) ?? [];
  const key = ring.key(id);
  const bytes = Buffer.from(text, "base64url");
  if (!key || bytes.length < nonceBytes + tagBytes) return undefined;
  const tag = bytes.subarray(bytes.length - tagBytes);
  const opening = createDecipheriv(cipher, key.bytes, bytes.subarray(0, nonceBytes))
    .setAAD(Buffer.from(place))
    .setAuthTag(tag);
  try {
    const content = bytes.subarray(nonceBytes, bytes.length - tagBytes);
    return opening.update(content, undefined, "utf8") + opening.final("utf8");
  } catch {
    return undefined;
  }
}
