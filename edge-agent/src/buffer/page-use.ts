import { pageBytes } from "./buffer-schema.ts";
import type { SqliteConnection, SqliteStatement } from "./sqlite-connection.ts";

/** How much of the file is in use: real pages, so that the quota bounds the file and not a sum of lengths. */
export class PageUse {
  readonly #count: SqliteStatement;
  readonly #free: SqliteStatement;

  constructor(db: SqliteConnection) {
    this.#count = db.prepare("PRAGMA page_count");
    this.#free = db.prepare("PRAGMA freelist_count");
  }

  get freePages(): number {
    return (this.#free.get() as { freelist_count: number }).freelist_count;
  }

  get usedPages(): number {
    return (this.#count.get() as { page_count: number }).page_count - this.freePages;
  }

  get usedBytes(): number {
    return this.usedPages * pageBytes;
  }

  fits(pageCount: number, bytesMax: number): boolean {
    return (this.usedPages + pageCount) * pageBytes <= bytesMax;
  }
}
