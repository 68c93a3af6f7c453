import type { Chance } from "@fleetmesh/core";

const sectorBytes = 512;

type Pending =
  | { readonly kind: "write"; readonly offset: number; readonly bytes: Uint8Array }
  | { readonly kind: "truncate"; readonly length: number };

/** One file as a disk sees it: what is certain, and what was written since and may or may not be there after a cut. */
export class DiskImage {
  #bytes: Uint8Array;
  #length: number;
  #pending: Pending[] = [];

  constructor(bytes: Uint8Array = new Uint8Array(0)) {
    this.#bytes = bytes;
    this.#length = bytes.length;
  }

  get pendingCount(): number {
    return this.#pending.length;
  }

  write(offset: number, bytes: Uint8Array): void {
    this.#pending.push({ kind: "write", offset, bytes });
  }

  truncate(length: number): void {
    this.#pending.push({ kind: "truncate", length });
  }

  sync(): void {
    for (const one of this.#pending) this.#apply(one);
    this.#pending = [];
  }

  /** What is left after a cut: of each unsynced write all, nothing, or some of its sectors. */
  cut(chance: Chance): Uint8Array {
    const keepMost = chance.float();
    for (const [index, one] of this.#pending.entries()) {
      const isLast = index === this.#pending.length - 1;
      const luck = chance.float();
      if (isLast && one.kind === "write" && luck < 0.5) this.#tear(one, chance);
      else if (luck < keepMost) this.#apply(one);
      else if (one.kind === "write" && chance.float() < 0.3) this.#tear(one, chance);
    }
    this.#pending = [];
    return this.#bytes.subarray(0, this.#length);
  }

  #apply(one: Pending): void {
    if (one.kind === "truncate") {
      this.#reserve(one.length);
      if (one.length < this.#length) this.#bytes.fill(0, one.length, this.#length);
      this.#length = one.length;
      return;
    }
    this.#put(one.offset, one.bytes);
  }

  #tear({ offset, bytes }: { offset: number; bytes: Uint8Array }, chance: Chance): void {
    const sectorCount = Math.ceil(bytes.length / sectorBytes);
    const isPrefix = chance.float() < 0.6;
    const prefix = Math.floor(chance.float() * sectorCount);
    for (let sector = 0; sector < sectorCount; sector += 1) {
      const isKept = isPrefix ? sector < prefix : chance.float() < 0.5;
      const start = sector * sectorBytes;
      if (isKept) this.#put(offset + start, bytes.subarray(start, start + sectorBytes));
    }
  }

  #put(offset: number, bytes: Uint8Array): void {
    const end = offset + bytes.length;
    this.#reserve(end);
    this.#bytes.set(bytes, offset);
    this.#length = Math.max(this.#length, end);
  }

  #reserve(length: number): void {
    if (length <= this.#bytes.length) return;
    const larger = new Uint8Array(Math.max(length, this.#bytes.length * 2, 65_536));
    larger.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = larger;
  }
}
