import { copyFile, open, readFile, rename, rm, type FileHandle } from "node:fs/promises";
import { dirname, join } from "node:path";
import { crc32 } from "node:zlib";
import { MeshError } from "@fleetmesh/core";
import type { MetadataChange } from "./metadata-state.ts";

const ownerOnly = 0o600;

/**
 * Changes as lines `crc32 JSON` in one file that only its owner may read: it holds secrets. An append is fsynced (by libuv's
 * threads, not on the event loop) before it resolves. A failed append is cut off again, so that a later one never follows
 * half a line. `rewrite` replaces the file atomically.
 */
export class ChangeJournal {
  readonly #path: string;
  #file: FileHandle | undefined;
  #length = 0;
  #isTailDirty = false;

  constructor(path: string) {
    this.#path = path;
  }

  get byteCount(): number {
    return this.#length;
  }

  /** Every change that reads back, in order. A torn last line is dropped; damage before it is kept aside and skipped. */
  async open(damagedSuffix: string): Promise<MetadataChange[]> {
    const bytes = await readFile(this.#path).catch((error: unknown) => {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return Buffer.alloc(0);
      throw unavailable(this.#path, error);
    });
    const { changes, goodBytes, isDamaged } = readLines(bytes);
    if (isDamaged) await copyFile(this.#path, `${this.#path}.${damagedSuffix}`);
    try {
      this.#file = await open(this.#path, "a+", ownerOnly);
      await this.#file.chmod(ownerOnly);
      this.#length = goodBytes;
      await this.#file.truncate(goodBytes);
      await syncFolder(this.#path);
    } catch (error) {
      await this.close();
      throw unavailable(this.#path, error);
    }
    if (isDamaged) await this.rewrite(changes);
    return changes;
  }

  async append(changes: readonly MetadataChange[]): Promise<void> {
    const file = this.#file;
    if (!file) throw new MeshError("STOPPING", "The metadata is closed");
    const bytes = Buffer.from(changes.map(lineOf).join(""));
    try {
      if (this.#isTailDirty) await file.truncate(this.#length);
      this.#isTailDirty = true;
      await writeAll(file, bytes);
      await file.datasync();
      this.#isTailDirty = false;
      this.#length += bytes.length;
    } catch (error) {
      throw unavailable(this.#path, error);
    }
  }

  /** The same state in fewer lines. When it fails the old file goes on. */
  async rewrite(changes: Iterable<MetadataChange>): Promise<void> {
    const path = `${this.#path}.new`;
    await rm(path, { force: true });
    const file = await open(path, "a+", ownerOnly);
    try {
      const length = await writeChanges(file, changes);
      await file.sync();
      await rename(path, this.#path);
      const replaced = this.#file;
      [this.#file, this.#length, this.#isTailDirty] = [file, length, false];
      await replaced?.close();
      await syncFolder(this.#path);
    } catch (error) {
      if (this.#file !== file) await file.close();
      throw unavailable(this.#path, error);
    }
  }

  async close(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    await file?.close();
  }
}

function lineOf(change: MetadataChange): string {
  const text = JSON.stringify(change);
  return `${checksum(text)} ${text}\n`;
}

function checksum(text: string): string {
  return crc32(text).toString(16).padStart(8, "0");
}

interface Lines {
  readonly changes: MetadataChange[];
  readonly goodBytes: number;
  readonly isDamaged: boolean;
}

function readLines(bytes: Buffer): Lines {
  const changes: MetadataChange[] = [];
  let [at, goodBytes, badLines] = [0, 0, 0];
  let isDamaged = false;
  while (at < bytes.length) {
    const end = bytes.indexOf(10, at);
    const change = end < 0 ? undefined : readLine(bytes.toString("utf8", at, end));
    at = end < 0 ? bytes.length : end + 1;
    if (!change) {
      badLines += 1;
      continue;
    }
    // A bad line with good ones behind it was not a torn append: the disk damaged it.
    if (badLines > 0) isDamaged = true;
    changes.push(change);
    goodBytes = at;
  }
  return { changes, goodBytes, isDamaged };
}

function readLine(line: string): MetadataChange | undefined {
  const text = line.slice(9);
  return line.slice(0, 8) === checksum(text) ? (JSON.parse(text) as MetadataChange) : undefined;
}

async function writeChanges(file: FileHandle, changes: Iterable<MetadataChange>): Promise<number> {
  let length = 0;
  for (const change of changes) {
    const bytes = Buffer.from(lineOf(change));
    await writeAll(file, bytes);
    length += bytes.length;
  }
  return length;
}

async function writeAll(file: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) {
    const { bytesWritten } = await file.write(bytes, at);
    at += bytesWritten;
  }
}

/** A new or renamed file is only there after a power cut when its folder was fsynced. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(join(dirname(path), "."), "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

function unavailable(path: string, cause: unknown): MeshError {
  const text = cause instanceof Error ? cause.message : String(cause);
  return new MeshError("STORE_UNAVAILABLE", `The metadata file ${path} cannot be used: ${text}`, {
    cause,
  });
}
