import { generateKeyPairSync } from "node:crypto";
import { MeshError, SimulatedClock } from "@fleetmesh/core";
import { exportJWK, SignJWT } from "jose";
import { beforeAll, describe, expect, it } from "vitest";
import {
  createSigningKey,
  issueToken,
  type SigningKey,
  type TokenClaims,
} from "../src/auth/issue-token.ts";
import { JwtAuthenticator } from "../src/auth/jwt-authenticator.ts";

let key: SigningKey;
const claims: TokenClaims = {
  sub: "car-7",
  jti: "token-1",
  mesh: { publish: ["vehicle.>"], subscribe: ["alert.*"], agent: "agent-7" },
};

beforeAll(async () => {
  key = await createSigningKey("key-1");
});

function authenticatorOf(rememberMax = 100) {
  const clock = new SimulatedClock();
  const keys = { keys: [key.publicKey] };
  return { clock, authenticator: new JwtAuthenticator({ clock, keys, rememberMax }) };
}

async function reasonOf(attempt: Promise<unknown>): Promise<unknown> {
  const error = MeshError.from(await attempt.catch((thrown: unknown) => thrown));
  return error.kind === "TOKEN_INVALID" ? error.details["reason"] : error.kind;
}

describe("jwt authenticator", () => {
  it("gives the principal that the token's claims describe", async () => {
    const { authenticator } = authenticatorOf();
    const principal = await authenticator.authenticate(await issueToken(key, claims));
    expect(principal).toMatchObject({
      name: "car-7",
      agentId: "agent-7",
      isOperator: false,
      isRegionLink: false,
      expiresMs: Infinity,
      tokenId: "token-1",
    });
    expect(principal.mayPublish("vehicle.telemetry")).toBe(true);
    expect(principal.mayPublish("plant.telemetry")).toBe(false);
    expect(principal.maySubscribe("alert.fire")).toBe(true);
    expect(principal.maySubscribe("vehicle.telemetry")).toBe(false);
  });

  it("permits nothing that the claims do not name", async () => {
    const { authenticator } = authenticatorOf();
    const token = await issueToken(key, { sub: "a", jti: "b", mesh: {} });
    const principal = await authenticator.authenticate(token);
    expect(principal.mayPublish("vehicle.telemetry")).toBe(false);
    expect(principal.agentId).toBeUndefined();
  });

  it("refuses an expired token, by the wall clock and with leeway, also when it is remembered", async () => {
    const { clock, authenticator } = authenticatorOf();
    const token = await issueToken(key, { ...claims, exp: clock.wallMs() / 1000 + 60 });
    await authenticator.authenticate(token);
    clock.jumpWall(80_000);
    expect(authenticator.recall(token)).toBeDefined();
    clock.jumpWall(15_000);
    expect(authenticator.recall(token)).toBeUndefined();
    expect(await reasonOf(authenticator.authenticate(token))).toBe("expired");
  });

  it("refuses a revoked token at once, also when it is remembered, and says so of a live principal", async () => {
    const { authenticator } = authenticatorOf();
    const token = await issueToken(key, claims);
    const principal = await authenticator.authenticate(token);
    expect(authenticator.isOver(principal)).toBe(false);
    authenticator.replaceRevoked(new Set(["token-1"]));
    expect(authenticator.recall(token)).toBeUndefined();
    expect(await reasonOf(authenticator.authenticate(token))).toBe("revoked");
    expect(authenticator.isOver(principal)).toBe(true);
  });

  it("refuses a token of an unknown key, and of a key that was taken away", async () => {
    const { authenticator } = authenticatorOf();
    const stranger = await createSigningKey("key-2");
    expect(await reasonOf(authenticator.authenticate(await issueToken(stranger, claims)))).toBe(
      "unknown_key",
    );
    const token = await issueToken(key, claims);
    await authenticator.authenticate(token);
    authenticator.replaceKeys({ keys: [stranger.publicKey] });
    expect(await reasonOf(authenticator.authenticate(token))).toBe("unknown_key");
  });

  it("refuses a signature by another key that uses a known key's id", async () => {
    const { authenticator } = authenticatorOf();
    const forger = await createSigningKey("key-1");
    expect(await reasonOf(authenticator.authenticate(await issueToken(forger, claims)))).toBe(
      "bad_signature",
    );
  });

  it("refuses every algorithm but EdDSA, none included", async () => {
    const { authenticator } = authenticatorOf();
    const hmac = new SignJWT({ ...claims })
      .setProtectedHeader({ alg: "HS256", kid: "key-1" })
      .sign(Buffer.from(key.publicKey.x ?? "", "base64url"));
    expect(await reasonOf(authenticator.authenticate(await hmac))).toBe("bad_signature");
    const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
    await exportJWK(privateKey);
    const rsa = new SignJWT({ ...claims }).setProtectedHeader({ alg: "RS256", kid: "key-1" });
    expect(await reasonOf(authenticator.authenticate(await rsa.sign(privateKey)))).toBe(
      "bad_signature",
    );
    const [, body] = (await issueToken(key, claims)).split(".");
    const none = Buffer.from('{"alg":"none"}').toString("base64url");
    expect(await reasonOf(authenticator.authenticate(`${none}.${body}.`))).not.toBeUndefined();
  });

  it("refuses another mesh's issuer or audience, and claims of the wrong shape", async () => {
    const { authenticator } = authenticatorOf();
    const refused = async (token: Promise<string>): Promise<unknown> =>
      reasonOf(authenticator.authenticate(await token));
    expect(await refused(issueToken(key, claims, { issuer: "someone" }))).toBe("claims");
    expect(await refused(issueToken(key, claims, { audience: "else" }))).toBe("claims");
    const withMesh = (mesh: object): Promise<string> => issueToken(key, { ...claims, mesh });
    expect(await refused(withMesh({ publish: "vehicle.>" }))).toBe("claims");
    expect(await refused(withMesh({ publish: ["Not A Topic"] }))).toBe("claims");
    expect(await refused(withMesh({ agent: 7 }))).toBe("claims");
    expect(await refused(issueToken(key, { ...claims, jti: "" }))).toBe("claims");
  });

  it("never shows the token in an error", async () => {
    const { authenticator } = authenticatorOf();
    const token = await issueToken(await createSigningKey("key-9"), claims);
    const error = MeshError.from(
      await authenticator.authenticate(token).catch((thrown: unknown) => thrown),
    );
    expect(JSON.stringify([error.message, error.details])).not.toContain(token.slice(0, 40));
  });

  it("remembers a bounded number of tokens", async () => {
    const { authenticator } = authenticatorOf(5);
    for (let at = 0; at < 12; at += 1) {
      await authenticator.authenticate(await issueToken(key, { ...claims, jti: `t${at}` }));
    }
    expect(authenticator.rememberedCount).toBe(5);
  });

  it("tells a missing token from a bad one, and refuses an overlong one unread", async () => {
    const { authenticator } = authenticatorOf();
    expect(await reasonOf(authenticator.authenticate(undefined))).toBe("TOKEN_MISSING");
    expect(await reasonOf(authenticator.authenticate("x".repeat(10_000)))).toBe("too_long");
    expect(await reasonOf(authenticator.authenticate("a.b.c"))).toBe("malformed");
  });
});
