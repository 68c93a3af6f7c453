import { hash, randomBytes } from "node:crypto";
import { open, readFile, rename } from "node:fs/promises";
import { dirname } from "node:path";
import { MeshError } from "@fleetmesh/core";

export interface SealingKey {
  /** Of the key's own bytes, so that no name has to be given and none can be wrong. */
  readonly id: string;
  readonly bytes: Buffer;
}

const keyBytes = 32;
const remark = "# Opens the secrets in the metadata beside it. Keep a copy elsewhere.";
const ownerOnly = 0o600;

/**
 * The keys that secrets are sealed with at rest, from a file with one key a line: base64 of 32 bytes. The last one seals, all
 * of them open; so a key is changed by adding a line and, after a start, taking the old one away.
 */
export class KeyRing {
  readonly newest: SealingKey;
  readonly path: string;
  readonly #keys: ReadonlyMap<string, SealingKey>;

  private constructor(path: string, keys: Keys) {
    this.path = path;
    this.newest = keys.at(-1) ?? keys[0];
    this.#keys = new Map(keys.map((key) => [key.id, key]));
  }

  /** Throws CONFIG_UNREADABLE or CONFIG_INVALID. */
  static async read(path: string): Promise<KeyRing> {
    const keys = keysOf(path, await textOf(path));
    if (keys) return new KeyRing(path, keys);
    throw new MeshError("CONFIG_UNREADABLE", `There is no file of sealing keys at ${path}`, {
      hint: "Make one with `openssl rand -base64 32 > FILE` and mode 0600, or leave secrets.keyFile out.",
    });
  }

  /** The same; makes the file with a new key, which only its owner may read, where there is none. */
  static async readOrMake(path: string): Promise<KeyRing> {
    if ((await textOf(path)) === undefined) {
      const key = randomBytes(keyBytes).toString("base64");
      await writeWhole(path, `${remark}\n${key}\n`);
    }
    return KeyRing.read(path);
  }

  key(id: string): SealingKey | undefined {
    return this.#keys.get(id);
  }
}

type Keys = readonly [SealingKey, ...SealingKey[]];

function keysOf(path: string, text: string | undefined): Keys | undefined {
  if (text === undefined) return undefined;
  const keys: SealingKey[] = [];
  for (const [at, line] of text.split("\n").entries()) {
    const trimmed = line.trim();
    if (trimmed === "" || trimmed.startsWith("#")) continue;
    keys.push(keyOf(trimmed, `${path}, line ${at + 1}`));
  }
  const [first, ...more] = keys;
  if (first) return [first, ...more];
  throw new MeshError("CONFIG_INVALID", `There is no sealing key in ${path}`);
}

/** What is wrong is told by its line: it may be a key with a slip. */
function keyOf(text: string, where: string): SealingKey {
  const bytes = Buffer.from(text, "base64");
  if (bytes.length !== keyBytes || !/^[A-Za-z0-9+/]{43}=?$/.test(text))
    throw new MeshError("CONFIG_INVALID", `${where}: a sealing key is base64 of 32 bytes`);
  return { id: hash("sha256", bytes).slice(0, 12), bytes };
}

async function textOf(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw new MeshError("CONFIG_UNREADABLE", `Cannot read ${path}`, { cause });
  }
}

/** A key must be on the disk before anything is sealed with it: file, then name, then folder. */
async function writeWhole(path: string, text: string): Promise<void> {
  const fresh = `${path}.new`;
  const file = await open(fresh, "w", ownerOnly);
  try {
    await file.chmod(ownerOnly);
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(fresh, path);
  const folder = await open(dirname(path), "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
