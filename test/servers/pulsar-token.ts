import { createHmac } from "node:crypto";

export interface TokenWish {
  /** Pulsar's role: the token's subject. */
  readonly role: string;
  /** From now; negative for a token that has expired. Without it the token never expires. */
  readonly lifeSeconds?: number;
  /** From now until it is valid; without it it is at once. */
  readonly waitSeconds?: number;
}

/** A token as Pulsar's AuthenticationProviderToken takes it: a JWT signed with HS256. */
export function signToken(secret: Buffer, { role, lifeSeconds, waitSeconds }: TokenWish): string {
  const nowSeconds = Math.floor(Date.now() / 1_000);
  const claims = {
    sub: role,
    ...(lifeSeconds === undefined ? {} : { exp: nowSeconds + lifeSeconds }),
    ...(waitSeconds === undefined ? {} : { nbf: nowSeconds + waitSeconds }),
  };
  const content = `${encode({ alg: "HS256", typ: "JWT" })}.${encode(claims)}`;
  return `${content}.${createHmac("sha256", secret).update(content).digest("base64url")}`;
}

function encode(part: object): string {
  return Buffer.from(JSON.stringify(part)).toString("base64url");
}
