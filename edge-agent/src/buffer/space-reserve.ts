import { closeSync, fsyncSync, openSync, rmSync, statSync, writeSync } from "node:fs";

const chunk = Buffer.alloc(64 * 1024);

/**
 * Bytes of disk held in a file of their own and let go when the disk is full: deleting needs room in SQLite's log
 * before it makes any. Whether the reserve can be had again tells when the disk is usable again.
 */
export class SpaceReserve {
  readonly #file: string;
  readonly #byteCount: number;

  constructor(file: string, byteCount: number) {
    this.#file = file;
    this.#byteCount = byteCount;
  }

  get isIntact(): boolean {
    if (this.#byteCount === 0) return true;
    const size = statSync(this.#file, { throwIfNoEntry: false })?.size ?? 0;
    return size >= this.#byteCount;
  }

  /** Throws ENOSPC and the like, holding nothing, when the disk does not have it. */
  create(): void {
    if (this.isIntact) return;
    try {
      const file = openSync(this.#file, "w");
      try {
        for (let left = this.#byteCount; left > 0; left -= chunk.length)
          writeAll(file, chunk.subarray(0, Math.min(left, chunk.length)));
        fsyncSync(file);
      } finally {
        closeSync(file);
      }
    } catch (error) {
      this.release();
      throw error;
    }
  }

  release(): void {
    rmSync(this.#file, { force: true });
  }
}

/** A full disk may take a part of a write without an error: the rest then fails with the reason. */
function writeAll(file: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length;) at += writeSync(file, bytes, at);
}
