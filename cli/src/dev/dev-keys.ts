import { existsSync } from "node:fs";
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { systemChance } from "@fleetmesh/core";
import { createSigningKey, issueToken, type SigningKey } from "@fleetmesh/door";
import { writeFileDurably } from "../durable-file.ts";

/** The key of this folder's mesh, made once, and one token that may do everything in it. */
export interface DevKeys {
  readonly signingKey: SigningKey;
  readonly token: string;
}

const everything = { publish: [">"], subscribe: [">"], operator: true, agent: "*", link: true };

export async function loadDevKeys(dataDir: string): Promise<DevKeys> {
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  const keyFile = join(dataDir, "signing-key.json");
  const tokenFile = join(dataDir, "token");
  if (!existsSync(keyFile))
    await writeFileDurably(keyFile, JSON.stringify(await createSigningKey("dev")));
  const signingKey = JSON.parse(await readFile(keyFile, "utf8")) as SigningKey;
  if (!existsSync(tokenFile)) {
    const claims = { sub: "dev", jti: systemChance.uuid(), mesh: everything };
    await writeFileDurably(tokenFile, await issueToken(signingKey, claims));
  }
  return { signingKey, token: (await readFile(tokenFile, "utf8")).trim() };
}
