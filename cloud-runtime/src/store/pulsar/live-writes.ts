/** One write of the state log: where its messages lie, and which of its records are still the last of their key. */
interface Written {
  readonly messageKeys: readonly string[];
  readonly keys: readonly string[];
  liveCount: number;
}

/** Records beyond twice the live ones that may lie in the log before old writes are cleaned. */
const slack = 1_024;

/**
 * Which writes of the state log still matter. A write whose records were all written again is dead, and its messages may be
 * removed; strictly from the oldest on, so that no record (or deletion) can come back by the removal of what replaced it.
 */
export class LiveWrites {
  readonly #writeOf = new Map<string, Written>();
  #writes: Written[] = [];
  #head = 0;
  #recordCount = 0;

  get liveCount(): number {
    return this.#writeOf.size;
  }

  /** A complete write. `deleted` says which of its keys it takes away. */
  add(messageKeys: readonly string[], keys: readonly string[], deleted: ReadonlySet<string>): void {
    const written: Written = { messageKeys, keys, liveCount: 0 };
    for (const key of keys) {
      const before = this.#writeOf.get(key);
      if (before) before.liveCount -= 1;
      if (deleted.has(key)) {
        this.#writeOf.delete(key);
        continue;
      }
      this.#writeOf.set(key, written);
      written.liveCount += 1;
    }
    this.#recordCount += keys.length;
    this.#writes.push(written);
  }

  /** Messages that count for nothing: an incomplete write, or one of a node that had lost the fence. */
  addDead(messageKeys: readonly string[]): void {
    this.#writes.push({ messageKeys, keys: [], liveCount: 0 });
  }

  /** Keys to write again, so that the oldest writes die: about as many as are written anyhow. */
  toRewrite(countMax: number): string[] {
    const keys: string[] = [];
    if (this.#recordCount <= 2 * this.#writeOf.size + slack) return keys;
    for (let at = this.#head; at < this.#writes.length && keys.length < countMax; at += 1) {
      const written = this.#writes[at] as Written;
      if (written.liveCount === 0) continue;
      for (const key of written.keys) if (this.#writeOf.get(key) === written) keys.push(key);
    }
    return keys;
  }

  /** The messages that can go now. They are forgotten here: what is not removed after all only takes room. */
  takeDead(): string[] {
    const dead: string[] = [];
    for (; this.#head < this.#writes.length; this.#head += 1) {
      const written = this.#writes[this.#head] as Written;
      if (written.liveCount > 0) break;
      dead.push(...written.messageKeys);
      this.#recordCount -= written.keys.length;
    }
    if (this.#head > 256) {
      this.#writes = this.#writes.slice(this.#head);
      this.#head = 0;
    }
    return dead;
  }
}
