import { crc32 } from "node:zlib";
import { identityBytes, identityWords } from "./repeat-identity.ts";
import type { SqliteConnection, SqliteStatement } from "./sqlite-connection.ts";

interface RepeatRow {
  readonly id: number;
  readonly count: number;
}

interface WholeRepeatRow extends RepeatRow {
  readonly guard: number;
  readonly body: Uint8Array;
}

/**
 * The table of identities: a row for each commit, under the number of events that the buffer had produced by then. Old rows
 * go in bulk, an eighth of the window at a time, so that most commits touch its newest page only.
 */
export class RepeatRows {
  readonly #db: SqliteConnection;
  readonly #countMax: number;
  readonly #insert: SqliteStatement;
  readonly #oldest: SqliteStatement;
  readonly #delete: SqliteStatement;
  #count = 0;

  constructor(db: SqliteConnection, countMax: number) {
    this.#db = db;
    this.#countMax = countMax;
    this.#insert = db.prepare("INSERT INTO repeat (id, count, guard, body) VALUES (?, ?, ?, ?)");
    this.#oldest = db.prepare("SELECT id, count FROM repeat ORDER BY id");
    this.#delete = db.prepare("DELETE FROM repeat WHERE id <= ?");
    this.load();
  }

  /** Counts anew, after a transaction was taken back. */
  load(): void {
    const row = this.#db.prepare("SELECT total(count) AS count FROM repeat").get();
    this.#count = (row as { count: number }).count;
  }

  /** Within the transaction of the events. @param id events produced so far, these included. */
  add(id: number, identities: Uint32Array): void {
    if (identities.length === 0 || this.#countMax === 0) return;
    const body = new Uint8Array(identities.buffer, identities.byteOffset, identities.byteLength);
    const count = identities.length / identityWords;
    this.#insert.run(id, count, crc32(body), body);
    this.#count += count;
    if (this.#count > this.#countMax + Math.max(64, this.#countMax / 8)) this.#trim();
  }

  /** Adds what was remembered elsewhere, as older than all that is here. */
  addOlder(identities: Uint32Array): void {
    const row = this.#db.prepare("SELECT min(id) AS id FROM repeat").get() as { id: number | null };
    this.add(Math.min(0, row.id ?? 0) - 1, identities);
  }

  /** Forgets the commits behind this many produced events. */
  removeAbove(produced: number): void {
    this.#db.prepare("DELETE FROM repeat WHERE id > ?").run(produced);
    this.load();
  }

  /** Oldest first; a row that does not read back as it was written is left out. */
  all(): Uint32Array<ArrayBuffer> {
    if (this.#countMax === 0) return new Uint32Array(0);
    return identitiesOf(this.#db.prepare("SELECT * FROM repeat ORDER BY id").all());
  }

  #trim(): void {
    let last: number | undefined;
    for (const { id, count } of this.#oldest.iterate() as IterableIterator<RepeatRow>) {
      if (this.#count - count < this.#countMax) break;
      this.#count -= count;
      last = id;
    }
    if (last !== undefined) this.#delete.run(last);
  }
}

function identitiesOf(rows: readonly unknown[]): Uint32Array<ArrayBuffer> {
  const bodies = (rows as WholeRepeatRow[]).filter(isWhole).map(({ body }) => body);
  const bytes = new Uint8Array(bodies.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const body of bodies) {
    bytes.set(body, at);
    at += body.length;
  }
  return new Uint32Array(bytes.buffer);
}

function isWhole({ count, guard, body }: WholeRepeatRow): boolean {
  return (
    body instanceof Uint8Array && body.length === count * identityBytes && crc32(body) === guard
  );
}

/** Copies what reads back of a damaged file; the rest is forgotten, which costs no event. */
export function copyRepeats(source: SqliteConnection, target: SqliteConnection): void {
  const insert = target.prepare("INSERT OR IGNORE INTO repeat VALUES (?, ?, ?, ?)");
  target.exec("BEGIN");
  try {
    const rows = source.prepare("SELECT * FROM repeat ORDER BY id").iterate();
    for (const row of rows as IterableIterator<WholeRepeatRow>)
      if (isWhole(row)) insert.run(row.id, row.count, row.guard, row.body);
  } catch {
    // The table, or the rest of it, is not readable, or the file is older than the table.
  }
  target.exec("COMMIT");
}
