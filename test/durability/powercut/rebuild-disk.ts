import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Chance } from "@fleetmesh/core";
import { DiskImage } from "./disk-image.ts";

export type DiskFiles = ReadonlyMap<string, Uint8Array>;

export interface CutReport {
  /** Writes that were not synced when the power went. */
  readonly unsyncedWrites: number;
  /** Files whose name had not reached the directory, and that are gone. */
  readonly vanished: readonly string[];
}

/** All files under a directory with their bytes, as the certain state before a program starts. */
export function readDisk(directory: string): DiskFiles {
  const files = new Map<string, Uint8Array>();
  for (const name of readdirSync(directory, { recursive: true, encoding: "utf8" })) {
    const file = join(directory, name);
    if (statSync(file).isFile()) files.set(file, readFileSync(file));
  }
  return files;
}

/** Replaces the directory's content by what a disk could hold after a cut at the end of the journal. */
export function rebuildDisk(
  directory: string,
  before: DiskFiles,
  cut: { readonly journal: Uint8Array; readonly chance: Chance },
): CutReport {
  const disk = new JournaledDisk(before);
  disk.replay(Buffer.from(cut.journal));
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true });
  return disk.settle(cut.chance);
}

class JournaledDisk {
  readonly #images = new Map<string, DiskImage>();
  readonly #opened = new Map<number, DiskImage>();
  /** Names made since the directory was last synced. */
  readonly #newNames = new Set<string>();

  constructor(before: DiskFiles) {
    for (const [path, bytes] of before) this.#images.set(path, new DiskImage(bytes.slice()));
  }

  replay(journal: Buffer): void {
    const headBytes = 21;
    for (let at = 0; at + headBytes <= journal.length;) {
      const length = Number(journal.readBigUInt64LE(at + 13));
      const end = at + headBytes + length;
      // The kill may have torn the last record: what it told was not synced anyway.
      if (end > journal.length) return;
      const operation = String.fromCharCode(journal[at] ?? 0);
      const file = journal.readUInt32LE(at + 1);
      const offset = Number(journal.readBigUInt64LE(at + 5));
      this.#apply(operation, { file, offset, bytes: journal.subarray(at + headBytes, end) });
      at = end;
    }
  }

  settle(chance: Chance): CutReport {
    let unsyncedWrites = 0;
    const vanished: string[] = [];
    for (const [path, image] of this.#images) {
      unsyncedWrites += image.pendingCount;
      const bytes = image.cut(chance);
      if (this.#newNames.has(path) && chance.float() < 0.5) {
        vanished.push(path);
        continue;
      }
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, bytes);
    }
    return { unsyncedWrites, vanished };
  }

  #apply(operation: string, record: { file: number; offset: number; bytes: Buffer }): void {
    const { file, offset, bytes } = record;
    switch (operation) {
      case "O":
        this.#open(file, bytes.toString(), offset);
        break;
      case "W":
        this.#image(file).write(offset, bytes);
        break;
      case "T":
        this.#image(file).truncate(offset);
        break;
      case "S":
        this.#image(file).sync();
        break;
      case "D":
        this.#syncNames(bytes.toString());
        break;
      case "U":
        this.#images.delete(bytes.toString());
        break;
      case "R":
        this.#rename(bytes.toString());
        break;
      default:
        throw new Error(`The journal has an unknown operation ${operation}`);
    }
  }

  #open(file: number, path: string, how: number): void {
    let image = this.#images.get(path);
    if (!image) {
      image = new DiskImage();
      this.#images.set(path, image);
    }
    if (how & 1) this.#newNames.add(path);
    if (how & 2) image.truncate(0);
    this.#opened.set(file, image);
  }

  /** Of a file, or of a folder with all that is in it. */
  #rename(both: string): void {
    const [from = "", to = ""] = both.split("\0");
    for (const path of [...this.#images.keys()]) {
      if (path !== from && !path.startsWith(`${from}/`)) continue;
      const image = this.#images.get(path);
      this.#images.delete(path);
      const renamed = to + path.slice(from.length);
      if (image) this.#images.set(renamed, image);
      if (this.#newNames.delete(path)) this.#newNames.add(renamed);
    }
  }

  #syncNames(directory: string): void {
    for (const path of this.#newNames) if (dirname(path) === directory) this.#newNames.delete(path);
  }

  #image(file: number): DiskImage {
    const image = this.#opened.get(file);
    if (!image) throw new Error(`The journal writes to file ${file}, which it never opened`);
    return image;
  }
}
