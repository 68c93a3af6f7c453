import type { SqliteConnection, SqliteStatement } from "./sqlite-connection.ts";

/** Failed probes after which the rest of a table is given up. */
const probeCountMax = 20_000;

/**
 * Finds the row ids of a table that can be read although pages of it are damaged: walks up, and where a page does not
 * read, looks for the next place that does, doubling the stride and then closing in.
 */
export class ReadableIds {
  readonly #next: SqliteStatement;
  #probesLeft = probeCountMax;

  constructor(db: SqliteConnection, table: "block" | "gap") {
    this.#next = db.prepare(`SELECT id FROM ${table} WHERE id >= ? AND id < ? ORDER BY id LIMIT 1`);
  }

  *between(low: number, high: number): Generator<number> {
    let at = low;
    while (at < high && this.#probesLeft > 0) {
      const found = this.#probe(at, high);
      if (found === "none") return;
      if (found === "unreadable") {
        const beyond = this.#beyond(at, high);
        if (beyond === undefined) return;
        at = beyond;
        continue;
      }
      yield found;
      at = found + 1;
    }
  }

  /** The lowest place above an unreadable one from which reading works again. */
  #beyond(unreadable: number, high: number): number | undefined {
    let bad = unreadable;
    let stride = 1;
    while (unreadable + stride < high && this.#probesLeft > 0) {
      const place = unreadable + stride;
      const found = this.#probe(place, high);
      if (found === "none") return undefined;
      if (found !== "unreadable") return this.#closeIn(bad, place, high);
      bad = place;
      stride *= 2;
    }
    return undefined;
  }

  #closeIn(from: number, to: number, high: number): number {
    let [bad, good] = [from, to];
    while (good - bad > 1 && this.#probesLeft > 0) {
      const middle = Math.floor((bad + good) / 2);
      if (this.#probe(middle, high) === "unreadable") bad = middle;
      else good = middle;
    }
    return good;
  }

  #probe(low: number, high: number): number | "none" | "unreadable" {
    try {
      const row = this.#next.get(low, high) as { id: number } | undefined;
      return row ? row.id : "none";
    } catch {
      this.#probesLeft -= 1;
      return "unreadable";
    }
  }
}
