import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { MeshError, parseConfig } from "@fleetmesh/core";
import { regionProblems } from "./bridge-config.ts";
import { regionConfigSchema, type RegionConfig } from "./region-config.ts";

/** One file of the folder as it was last read. */
export interface RegionFile {
  readonly file: string;
  /** Of the file's bytes: whoever wrote it knows by this that it was taken up. */
  readonly digest: string;
  /** What is in force: of an invalid file, what it said when it was last valid. */
  readonly region: RegionConfig | undefined;
  readonly problem: string | undefined;
}

const fileCountMax = 64;

/** What `regionDigest` of a region's file is. */
export function regionDigest(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 16);
}

/** The folder `regionsDir`: `*.yaml`, one region each. A folder that is not there yet is an empty one. */
export class RegionsFolder {
  readonly #dir: string;
  #known: ReadonlyMap<string, RegionFile> = new Map();

  constructor(dir: string) {
    this.#dir = dir;
  }

  get files(): RegionFile[] {
    return [...this.#known.values()];
  }

  /** Looks again; true when anything is other than before. Files in the order of their names; `fixed` come before all of them. */
  async read(fixed: readonly RegionConfig[]): Promise<boolean> {
    const names = (await this.#names()).slice(0, fileCountMax);
    const before: RegionConfig[] = [...fixed];
    const found = new Map<string, RegionFile>();
    for (const name of names) {
      const file = await this.#file(name, before);
      if (file === undefined) continue;
      if (file.region) before.push(file.region);
      found.set(name, file);
    }
    const isSame = JSON.stringify([...found]) === JSON.stringify([...this.#known]);
    this.#known = found;
    return !isSame;
  }

  async #names(): Promise<string[]> {
    try {
      const names = await readdir(this.#dir);
      return names.filter((name) => /^[^.].*\.ya?ml$/.test(name)).sort();
    } catch (cause) {
      if (isMissing(cause)) return [];
      throw new MeshError("CONFIG_UNREADABLE", `Cannot read ${this.#dir}`, { cause });
    }
  }

  async #file(name: string, before: readonly RegionConfig[]): Promise<RegionFile | undefined> {
    const file = join(this.#dir, name);
    const last = this.#known.get(name)?.region;
    let text: string;
    try {
      text = await readFile(file, "utf8");
    } catch (cause) {
      if (isMissing(cause)) return undefined;
      return { file, digest: "", region: last, problem: `${file} cannot be read` };
    }
    const digest = regionDigest(text);
    try {
      const region = parseConfig(regionConfigSchema, text, file);
      const [problem] = regionProblems(region, before);
      if (problem) return { file, digest, region: last, problem: problem.join(": ") };
      return { file, digest, region, problem: undefined };
    } catch (error) {
      return { file, digest, region: last, problem: MeshError.from(error).message };
    }
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOENT";
}
