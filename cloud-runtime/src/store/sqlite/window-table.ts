import { DirectWindow } from "../shared/direct-window.ts";
import { directIdentityBytes } from "../shared/event-identity.ts";
import type { SqlDatabase } from "./sql-database.ts";

interface WindowRow {
  readonly id: number;
  readonly count: number;
  readonly identities: Buffer;
}

type Identity = readonly [key: string, digest: string];

/**
 * The direct publishers' window in memory, and on disk in a table of its own: retention of the events must not shorten it.
 * Each commit writes one row with the identities it added. After a commit that failed it is read anew.
 */
export class WindowTable {
  readonly #window: DirectWindow;
  readonly #countMax: number;
  readonly #insert;
  readonly #delete;
  #rows: { readonly id: number; readonly count: number }[] = [];
  #total = 0;
  #added: Identity[] = [];

  constructor(db: SqlDatabase, countMax: number) {
    this.#window = new DirectWindow(countMax);
    this.#countMax = countMax;
    this.#insert = db.prepare("INSERT INTO direct_window VALUES (NULL, ?, ?)");
    this.#delete = db.prepare("DELETE FROM direct_window WHERE id = ?");
    const rows = db.prepare("SELECT id, count, identities FROM direct_window ORDER BY id");
    for (const row of rows.iterate() as IterableIterator<WindowRow>) {
      for (const [key, digest] of identitiesOf(row.identities)) this.#window.remember(key, digest);
      this.#window.shrink();
      this.#rows.push({ id: row.id, count: row.count });
      this.#total += row.count;
    }
  }

  /** Indexes of the events that are new, remembered from now on. Throws EVENT_CONFLICT and remembers nothing. */
  take(identities: Uint8Array): number[] {
    const pairs = identitiesOf(
      Buffer.from(identities.buffer, identities.byteOffset, identities.length),
    );
    const fresh = this.#window.judge(pairs);
    for (const index of fresh) {
      const pair = pairs[index] as Identity;
      this.#window.remember(...pair);
      this.#added.push(pair);
    }
    return fresh;
  }

  /** Before the commit: the identities go to disk with the events. */
  flush(): void {
    if (this.#added.length === 0) return;
    const bytes = Buffer.from(this.#added.map(([key, digest]) => key + digest).join(""), "latin1");
    const id = Number(this.#insert.run(this.#added.length, bytes).lastInsertRowid);
    this.#rows.push({ id, count: this.#added.length });
    this.#total += this.#added.length;
    for (let oldest = this.#rows[0]; oldest; oldest = this.#rows[0]) {
      if (this.#total - oldest.count < this.#countMax) break;
      this.#delete.run(oldest.id);
      this.#total -= oldest.count;
      this.#rows.shift();
    }
  }

  /** Remembers what is not committed. */
  get isDirty(): boolean {
    return this.#added.length > 0;
  }

  committed(): void {
    this.#added = [];
    this.#window.shrink();
  }
}

function identitiesOf(bytes: Buffer): Identity[] {
  const pairs: Identity[] = [];
  for (let at = 0; at < bytes.length; at += directIdentityBytes)
    pairs.push([bytes.toString("latin1", at, at + 16), bytes.toString("latin1", at + 16, at + 32)]);
  return pairs;
}
