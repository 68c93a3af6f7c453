import { randomBytes } from "node:crypto";
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { seededChance, systemClock } from "@fleetmesh/core";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ChangeJournal } from "../src/metadata/change-journal.ts";
import { FileMetadata } from "../src/metadata/file-metadata.ts";
import type { Subscription } from "../src/metadata/metadata.ts";
import { KeyRing } from "../src/secret/key-ring.ts";
import { seal, unseal } from "../src/secret/seal.ts";
import { mapSecrets, secretsOf } from "../src/secret/secret-fields.ts";
import { hasSealedSecret } from "../src/secret/sealed-subscription.ts";
import { createTargetFactory } from "../src/target/index.ts";
import { sampleEvent, sampleSubscription } from "./subscription-samples.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "fleetmesh-secrets-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const at = (name: string): string => join(folder, name);
const newKey = (): string => randomBytes(32).toString("base64");

async function ringOf(...keys: readonly string[]): Promise<KeyRing> {
  await writeFile(at("keys"), keys.join("\n"));
  return KeyRing.read(at("keys"));
}

const hidden = {
  signing: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
  password: "pass-word-é",
  header: "header-key",
  privateKey: "-----BEGIN PRIVATE KEY-----",
  consentKey: "consent-key",
};

function withSecrets(over: Partial<Subscription> = {}): Subscription {
  const base = sampleSubscription();
  return sampleSubscription({
    sinkcredential: { credentialtype: "PLAIN", identifier: "me", secret: hidden.password },
    delivery: { ...base.delivery, signing: { secret: hidden.signing } },
    protocolsettings: {
      headers: { "x-api-key": hidden.header, "x-plain": "seen" },
      tls: { certificate: "public", privatekey: hidden.privateKey },
    },
    consent: { sink: base.sink, key: hidden.consentKey },
    ...over,
  });
}

describe("secrets of a subscription", () => {
  it("are found wherever they are, and nothing else is taken for one", () => {
    const given = withSecrets();
    expect(secretsOf(given).sort()).toEqual(Object.values(hidden).sort());
    const marked = mapSecrets(given, (_, path) => `<${path}>`);
    expect(marked).toEqual({
      ...given,
      sinkcredential: { ...given.sinkcredential, secret: "<sinkcredential.secret>" },
      delivery: { ...given.delivery, signing: { secret: "<delivery.signing.secret>" } },
      protocolsettings: {
        headers: { "x-api-key": "<protocolsettings.headers.x-api-key>", "x-plain": "seen" },
        tls: { certificate: "public", privatekey: "<protocolsettings.tls.privatekey>" },
      },
      consent: { ...given.consent, key: "<consent.key>" },
    });
  });
});

describe("a seal", () => {
  it("opens with its key in its place, and looks different each time", async () => {
    const ring = await ringOf(newKey());
    const sealed = seal("hush é", "s1 a", ring);
    expect(sealed).not.toBe(seal("hush é", "s1 a", ring));
    expect(sealed).not.toContain("hush");
    expect(unseal(sealed, "s1 a", ring)).toBe("hush é");
    expect(unseal(sealed, "s2 a", ring)).toBeUndefined();
    expect(unseal(sealed, "s1 a", await ringOf(newKey()))).toBeUndefined();
    const body = sealed.lastIndexOf("$") + 1;
    for (let byte = body; byte < sealed.length; byte += 5) {
      const other = sealed[byte] === "A" ? "B" : "A";
      const changed = sealed.slice(0, byte) + other + sealed.slice(byte + 1);
      expect(unseal(changed, "s1 a", ring)).toBeUndefined();
    }
  });

  it("is made with the last key of the file and opens with any", async () => {
    const [old, fresh] = [newKey(), newKey()];
    const sealed = seal("hush", "p", await ringOf(old));
    const both = await ringOf("# first", old, "", fresh);
    expect(unseal(sealed, "p", both)).toBe("hush");
    const again = seal("hush", "p", both);
    expect(unseal(again, "p", await ringOf(fresh))).toBe("hush");
    expect(unseal(again, "p", await ringOf(old))).toBeUndefined();
  });
});

describe("the file of keys", () => {
  it("is made once, whole, and only its owner may read it", async () => {
    const made = await KeyRing.readOrMake(at("secrets.key"));
    expect((await stat(at("secrets.key"))).mode & 0o777).toBe(0o600);
    expect(await readdir(folder)).toEqual(["secrets.key"]);
    expect((await KeyRing.readOrMake(at("secrets.key"))).newest.id).toBe(made.newest.id);
  });

  it.each([
    ["", /no sealing key/],
    ["# nothing", /no sealing key/],
    ["c2hvcnQ=", /line 1: a sealing key is base64 of 32 bytes/],
    [`${newKey()}\nnot-quite-a-key`, /line 2/],
  ])("is refused when it holds %j, without its words", async (text, wanted) => {
    await writeFile(at("keys"), text);
    const refused: unknown = await KeyRing.read(at("keys")).catch((error: unknown) => error);
    expect(String(refused)).toMatch(wanted);
    expect(String(refused)).not.toContain("not-quite");
    await expect(KeyRing.read(at("elsewhere"))).rejects.toThrow(/no file of sealing keys/);
  });
});

describe("metadata at rest", () => {
  async function opened(keyFile?: string): Promise<FileMetadata> {
    const metadata = new FileMetadata({ path: at("metadata.journal"), keyFile });
    await metadata.start();
    return metadata;
  }
  const onDisk = (): Promise<string> => readFile(at("metadata.journal"), "utf8");
  async function expectSealed(): Promise<void> {
    const text = await onDisk();
    for (const secret of Object.values(hidden)) expect(text).not.toContain(secret);
    expect(text).toContain("seen");
  }
  async function reopened(
    keys: readonly string[],
    change?: (metadata: FileMetadata) => Promise<void>,
  ): Promise<Subscription | undefined> {
    await ringOf(...keys);
    const metadata = await opened(at("keys"));
    await change?.(metadata);
    const found = metadata.subscription("s1");
    await metadata.stop();
    return found;
  }

  it("holds no secret in clear text, after a change as after a rewrite", async () => {
    const metadata = new FileMetadata({ path: at("metadata.journal"), rewriteBytes: 1 });
    await metadata.start();
    await metadata.putSubscription(withSecrets());
    await expectSealed();
    await metadata.putSubscription(withSecrets({ revision: 2 }));
    await expectSealed();
    await metadata.stop();
    const again = await opened();
    expect(again.subscriptions()).toEqual([withSecrets({ revision: 2 })]);
    await again.stop();
  });

  it("that was written before there were keys is sealed at the next start", async () => {
    const journal = new ChangeJournal(at("metadata.journal"));
    await journal.open("damaged");
    await journal.append([{ kind: "put-subscription", subscription: withSecrets() }]);
    await journal.close();
    expect(await onDisk()).toContain(hidden.password);
    const metadata = await opened();
    await expectSealed();
    expect(metadata.subscriptions()).toEqual([withSecrets()]);
    await metadata.stop();
  });

  it("is sealed with the newest key after a start, so that the old one can go", async () => {
    const [old, fresh] = [newKey(), newKey()];
    await reopened([old], (metadata) => metadata.putSubscription(withSecrets()));
    expect(await reopened([old, fresh])).toEqual(withSecrets());
    expect(await reopened([fresh])).toEqual(withSecrets());
  });

  it("without its key shows the subscription disabled and says why, and has it again with the key", async () => {
    const [old, fresh] = [newKey(), newKey()];
    await reopened([old], (metadata) => metadata.putSubscription(withSecrets()));
    const { id } = (await ringOf(old)).newest;
    const other = sampleSubscription({ id: "s2" });
    const found = await reopened([fresh], (metadata) => metadata.putSubscription(other));
    expect(found).toMatchObject({ state: "disabled" });
    expect(found?.stateReason).toMatch(
      new RegExp(`locked: .* is sealed with the key ${id}, which is not in .*keys`),
    );
    expect(found && hasSealedSecret(found)).toBe(true);
    expect(await reopened([fresh, old])).toEqual(withSecrets());
  });

  it("keeps a paused subscription paused, and a retired one retired, while the key is away", async () => {
    const [old, fresh] = [newKey(), newKey()];
    const retired = { state: "disabled", stateReason: "retired: 410" } as const;
    for (const was of [{ state: "paused" } as const, retired]) {
      await rm(at("metadata.journal"), { force: true });
      await reopened([old], (metadata) => metadata.putSubscription(withSecrets(was)));
      expect((await reopened([fresh]))?.state).toBe(was.state);
      expect(await reopened([fresh, old])).toEqual(withSecrets(was));
    }
  });

  it("sends nothing for a subscription whose key is missing", async () => {
    await reopened([newKey()], (metadata) => metadata.putSubscription(withSecrets()));
    const found = await reopened([newKey()]);
    const ports = { clock: systemClock, chance: seededChance(1), allowPrivateSinks: true };
    const target = found && createTargetFactory(ports)(found);
    const at = { topic: "a", subscription: "s1", timeoutMs: 1_000, isRedriven: false };
    const outcome = await new Promise((settle) =>
      target?.deliver({ ...at, event: sampleEvent({ id: "1" }), settle }),
    );
    expect(outcome).toMatchObject({ kind: "failed", status: "sealed" });
    await target?.stop();
  });
});
