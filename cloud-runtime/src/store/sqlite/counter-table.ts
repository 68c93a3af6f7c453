import type { SqlDatabase } from "./sql-database.ts";

/** The ledger's counters that belong to no topic: added up in memory within a commit, written with it. */
export class CounterTable {
  readonly #added = new Map<string, number>();
  readonly #upsert;

  constructor(db: SqlDatabase) {
    this.#upsert = db.prepare(
      "INSERT INTO counter VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = value + excluded.value",
    );
  }

  add(name: string, count: number): void {
    if (count > 0) this.#added.set(name, (this.#added.get(name) ?? 0) + count);
  }

  flush(): void {
    for (const [name, count] of this.#added) this.#upsert.run(name, count);
    this.#added.clear();
  }

  reset(): void {
    this.#added.clear();
  }
}
