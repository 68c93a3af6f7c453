import { exportJWK, generateKeyPair, importJWK, SignJWT, type JWK } from "jose";

export const tokenIssuerDefault = "fleetmesh";
export const tokenAudienceDefault = "fleetmesh";

/** An Ed25519 key pair as JWKs; the private one signs tokens and never leaves its owner. */
export interface SigningKey {
  readonly privateKey: JWK;
  readonly publicKey: JWK;
}

export interface TokenClaims {
  /** The principal's name. */
  readonly sub: string;
  /** The token's own id, by which it is revoked. */
  readonly jti: string;
  /** Seconds since 1970; absent = does not expire. */
  readonly exp?: number;
  readonly mesh: MeshClaim;
}

/** What the token allows. Topic patterns as in core: `*` one segment, `>` the rest. */
export interface MeshClaim {
  readonly publish?: readonly string[];
  readonly subscribe?: readonly string[];
  readonly operator?: boolean;
  /** The one agent id, or "*" for any. */
  readonly agent?: string;
  readonly link?: boolean;
}

export interface TokenFrame {
  readonly issuer?: string;
  readonly audience?: string;
}

export async function createSigningKey(keyId: string): Promise<SigningKey> {
  const pair = await generateKeyPair("EdDSA", { crv: "Ed25519", extractable: true });
  const marks = { kid: keyId, alg: "EdDSA", use: "sig" };
  return {
    privateKey: { ...(await exportJWK(pair.privateKey)), ...marks },
    publicKey: { ...(await exportJWK(pair.publicKey)), ...marks },
  };
}

export async function issueToken(
  key: SigningKey,
  claims: TokenClaims,
  frame: TokenFrame = {},
): Promise<string> {
  const signer = new SignJWT({ ...claims })
    .setProtectedHeader({ alg: "EdDSA", typ: "JWT", kid: key.privateKey.kid ?? "" })
    .setIssuer(frame.issuer ?? tokenIssuerDefault)
    .setAudience(frame.audience ?? tokenAudienceDefault);
  return signer.sign(await importJWK(key.privateKey, "EdDSA"));
}
