import { execFile, spawnSync } from "node:child_process";
import { mkdtemp, open, rm, statfs } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

/** Why no small disk can be mounted here, in the words of a skipped test; undefined if one can. */
export function smallDiskMissing(): string | undefined {
  if (process.platform !== "linux") return "a small disk is mounted with Linux's tmpfs";
  if (process.getuid?.() !== 0) return "only root may mount a small disk";
  return spawnSync("mount", ["--version"]).status === 0 ? undefined : "missing mount";
}

/** A file system of a few MiB, which can be filled and emptied under a running server. */
export class SmallDisk {
  /** Empty at first. */
  readonly dir: string;

  static async mount(mebibytes: number): Promise<SmallDisk> {
    const dir = await mkdtemp(join(tmpdir(), "fleetmesh-disk-"));
    await run("mount", ["-t", "tmpfs", "-o", `size=${mebibytes}m`, "tmpfs", dir]);
    return new SmallDisk(dir);
  }

  private constructor(dir: string) {
    this.dir = dir;
  }

  async freeBytes(): Promise<number> {
    const { bavail, bsize } = await statfs(this.dir);
    return bavail * bsize;
  }

  /** Takes all but `restBytes` of what is free now. */
  async fill(restBytes = 0): Promise<void> {
    const file = await open(this.#ballast, "w");
    try {
      const block = Buffer.alloc(65_536);
      while ((await this.freeBytes()) > restBytes) await file.write(block);
    } catch (error) {
      if (!(error instanceof Error && "code" in error && error.code === "ENOSPC")) throw error;
    } finally {
      await file.close();
    }
  }

  /** Gives back what `fill` took. */
  async relieve(): Promise<void> {
    await rm(this.#ballast, { force: true });
  }

  /** After everything that uses it has ended. */
  async unmount(): Promise<void> {
    await run("umount", [this.dir]);
    await rm(this.dir, { recursive: true });
  }

  get #ballast(): string {
    return join(this.dir, "ballast");
  }
}
