import type { Subscription } from "../metadata/metadata.ts";
import { secretsOf } from "../secret/secret-fields.ts";

const mark = "[redacted]";
/** Shorter ones would tear holes into innocent texts; a secret so short is none. */
const charsMin = 4;

/** Takes a subscription's secrets out of what its target says: some repeat the headers that they were sent. */
export class SecretScrubber {
  readonly #secrets: readonly string[];
  readonly #more: () => readonly string[];

  /** `more`: secrets that change, such as tokens. */
  constructor(subscription: Subscription, more: () => readonly string[] = () => []) {
    const secrets = secretsOf(subscription).flatMap(formsOf);
    this.#secrets = [...secrets, ...basicOf(subscription.sinkcredential)];
    this.#more = more;
  }

  scrub(text: string): string {
    const secrets = [...this.#secrets, ...this.#more()]
      .filter(({ length }) => length >= charsMin)
      .sort((one, other) => other.length - one.length);
    let clean = text;
    for (const secret of secrets) clean = clean.replaceAll(secret, mark);
    // What was cut off may have been the rest of one.
    for (const secret of secrets) clean = withoutTail(clean, secret);
    return clean;
  }
}

/** As it is sent for a name and a password. */
function basicOf(credential: Subscription["sinkcredential"]): string[] {
  if (credential?.["credentialtype"] !== "PLAIN") return [];
  const pair = `${credential["identifier"] ?? ""}:${credential["secret"] ?? ""}`;
  return [Buffer.from(pair).toString("base64")];
}

/** With its prefix and without, as it is and as JSON writes it, whole and word by word: `Bearer` is no secret, what follows is. */
function formsOf(secret: string): string[] {
  const words = secret.split(/\s+/).filter(({ length }) => length >= 8);
  const bare = secret.replace(/^whs[a-z]+_/, "");
  return [...new Set([secret, bare, JSON.stringify(secret).slice(1, -1), ...words])];
}

function withoutTail(text: string, secret: string): string {
  for (let length = Math.min(secret.length - 1, text.length); length >= charsMin; length -= 1)
    if (text.endsWith(secret.slice(0, length))) return text.slice(0, -length) + mark;
  return text;
}
