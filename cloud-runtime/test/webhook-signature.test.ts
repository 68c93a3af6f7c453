import { createPublicKey, generateKeyPairSync, randomBytes, verify } from "node:crypto";
import { Webhook } from "standardwebhooks";
import { describe, expect, it } from "vitest";
import {
  signatureCharsMax,
  signatureRoomBytes,
  signingSecretsOf,
  WebhookSigner,
} from "../src/target/webhook-signature.ts";

const id = "msg_p5jXN8AQM9LWM0D4loKWxJek";
const known = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
/** Private and public half of one pair, as the signing libraries for v1a write them. */
const asymmetric = {
  secret:
    "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==",
  public: "1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4",
};

function signed(secrets: readonly string[], body: Buffer, timestamp = "1614265330"): string {
  const bytes = Buffer.concat([Buffer.alloc(signatureRoomBytes, 0xee), body]);
  const at = { bytes, start: signatureRoomBytes, end: bytes.length };
  const value = new WebhookSigner(secrets).sign(id, timestamp, at);
  expect(bytes.subarray(signatureRoomBytes)).toEqual(body);
  return value;
}

const whsec = (bytes: number): string => `whsec_${randomBytes(bytes).toString("base64")}`;

describe("webhook signature", () => {
  it("gives the Standard Webhooks test vector", () => {
    const value = signed([known], Buffer.from('{"test": 2432232314}'));
    expect(value).toBe("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
  });

  it("is taken by the standardwebhooks library, for keys and bodies of all sizes", () => {
    const timestamp = String(Math.floor(Date.now() / 1000));
    for (const keyBytes of [24, 32, 63, 64])
      for (const size of [0, 1, 55, 64, 1_000, 4_000]) {
        const secret = whsec(keyBytes);
        const body = Buffer.from(JSON.stringify("é".repeat(size)));
        const headers = {
          "webhook-id": id,
          "webhook-timestamp": timestamp,
          "webhook-signature": signed([secret], body, timestamp),
        };
        expect(new Webhook(secret).verify(body.toString(), headers)).toBe("é".repeat(size));
        expect(() => new Webhook(whsec(32)).verify(body.toString(), headers)).toThrow();
        expect(() => new Webhook(secret).verify(`${body.toString()} `, headers)).toThrow();
      }
  });

  it("is taken by receivers with the new key and by those with the old one", () => {
    const timestamp = String(Math.floor(Date.now() / 1000));
    const [fresh, old] = [whsec(32), whsec(24)];
    const value = signed([fresh, old, asymmetric.secret], Buffer.from('"x"'), timestamp);
    expect(value.split(" ").map((one) => one.split(",")[0])).toEqual(["v1", "v1", "v1a"]);
    const headers = { "webhook-id": id, "webhook-timestamp": timestamp };
    for (const secret of [fresh, old])
      expect(new Webhook(secret).verify('"x"', { ...headers, "webhook-signature": value })).toBe(
        "x",
      );
  });

  it("of a whsk_ key is checked with its public key", () => {
    const body = Buffer.from("{}");
    const value = signed([asymmetric.secret], body);
    expect(value.startsWith("v1a,")).toBe(true);
    const key = createPublicKey({
      key: { kty: "OKP", crv: "Ed25519", x: asymmetric.public },
      format: "jwk",
    });
    const content = Buffer.from(`${id}.1614265330.{}`);
    const signature = Buffer.from(value.slice(4), "base64");
    expect(verify(null, content, key, signature)).toBe(true);
    expect(verify(null, Buffer.from(`${id}.1614265331.{}`), key, signature)).toBe(false);
    expect(value.length + 1).toBeLessThanOrEqual(signatureCharsMax);
  });

  it("takes the 32 bytes of an ed25519 private key alone, too", () => {
    const { privateKey, publicKey } = generateKeyPairSync("ed25519");
    const secret = `whsk_${privateKey.export({ format: "der", type: "pkcs8" }).toString("base64", 16)}`;
    const value = signed([secret], Buffer.from("{}"));
    const content = Buffer.from(`${id}.1614265330.{}`);
    const signature = Buffer.from(value.slice(4), "base64");
    expect(verify(null, content, publicKey, signature)).toBe(true);
  });

  it.each([
    ["whsec_", /24 to 64/],
    ["whsec_c2hvcnQ=", /24 to 64/],
    [`whsec_${Buffer.alloc(65).toString("base64")}`, /24 to 64/],
    ["not base64 at all, but quite long enough!", /24 to 64/],
    ["whsk_c2hvcnQ=", /32 or 64 bytes/],
    [`whsk_${Buffer.alloc(64, 1).toString("base64")}`, /second half/],
    [`whpk_${asymmetric.public}=`, /public key.*whsk_/],
  ])("refuses the secret %j and does not repeat it", (secret, wanted) => {
    expect(() => new WebhookSigner([secret])).toThrow(wanted);
    const given = secret.slice(secret.indexOf("_") + 1);
    try {
      new WebhookSigner([secret]);
    } catch (error) {
      if (given !== "") expect(String(error)).not.toContain(given);
    }
  });

  it("takes one secret or several, in the order of their writing", () => {
    expect(signingSecretsOf({})).toEqual([]);
    expect(signingSecretsOf({ signing: { secret: "a" } })).toEqual(["a"]);
    expect(signingSecretsOf({ signing: { secrets: ["b", "a"] } })).toEqual(["b", "a"]);
  });
});
