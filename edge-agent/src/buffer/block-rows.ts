import { crc32 } from "node:zlib";
import { MeshError } from "@fleetmesh/core/base";
import { rowId } from "./row-id.ts";
import type { EncodedBlock } from "./buffer-messages.ts";
import type { SqliteConnection, SqliteStatement } from "./sqlite-connection.ts";
import type { TopicRows } from "./topic-rows.ts";

/** What is known of a block without reading its body. */
export interface BlockHead {
  readonly id: number;
  readonly count: number;
  readonly bytes: number;
  readonly received_min: number;
  readonly received_max: number;
  readonly expires_max: number | null;
  readonly topics: string;
}

export interface BlockRow extends BlockHead {
  readonly guard: number;
  readonly expires: Uint8Array | null;
  readonly body: Uint8Array;
}

const headColumns = "id, count, bytes, received_min, received_max, expires_max, topics";

/** The table of blocks. What comes and goes is counted by topic. */
export class BlockRows {
  readonly #topics: TopicRows;
  readonly #insert: SqliteStatement;
  readonly #heads: SqliteStatement;
  readonly #headUpTo: SqliteStatement;
  readonly #rows: SqliteStatement;
  readonly #delete: SqliteStatement;

  constructor(db: SqliteConnection, topics: TopicRows) {
    this.#topics = topics;
    this.#insert = db.prepare(
      `INSERT INTO block (${headColumns}, guard, expires, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    );
    this.#heads = db.prepare(
      `SELECT ${headColumns} FROM block WHERE id >= ? AND id < ? ORDER BY id LIMIT ?`,
    );
    this.#headUpTo = db.prepare(
      `SELECT ${headColumns} FROM block WHERE id >= ? AND id <= ? ORDER BY id DESC LIMIT 1`,
    );
    this.#rows = db.prepare("SELECT * FROM block WHERE id >= ? AND id < ? ORDER BY id");
    this.#delete = db.prepare("DELETE FROM block WHERE id = ?");
  }

  insert(rank: number, first: number, block: EncodedBlock): void {
    const id = rowId(rank, first);
    const { count, receivedMin, receivedMax, expires, body, topics } = block;
    const bytes = storedBytes(block);
    const expiresBytes = expires
      ? new Uint8Array(expires.buffer, expires.byteOffset, expires.byteLength)
      : null;
    this.#insert.run(
      id,
      count,
      bytes,
      receivedMin,
      receivedMax,
      block.expiresMax ?? null,
      topics,
      guardOf(id, count, body),
      expiresBytes,
      body,
    );
    this.#topics.inserted({ id, bytes, topics });
  }

  /** The class's oldest block, without its body. */
  oldest(rank: number): BlockHead | undefined {
    return this.#heads.get(rowId(rank, 0), rowId(rank + 1, 0), 1) as BlockHead | undefined;
  }

  /** The oldest blocks that start at or below the sequence. */
  upTo(rank: number, sequence: number, limit: number): BlockHead[] {
    return this.#heads.all(rowId(rank, 0), rowId(rank, sequence) + 1, limit) as BlockHead[];
  }

  /** Blocks from the one that covers the sequence on, or from the next above it. Stop iterating before writing. */
  *from(rank: number, sequence: number): Generator<BlockRow> {
    const before = this.#headUpTo.get(rowId(rank, 0), rowId(rank, sequence)) as
      BlockHead | undefined;
    const start = before ? before.id : rowId(rank, sequence);
    const rows = this.#rows.iterate(start, rowId(rank + 1, 0)) as IterableIterator<BlockRow>;
    for (const row of rows) {
      assertGuard(row);
      yield row;
    }
  }

  /** The block that covers the sequence, or the next above it. */
  headFrom(rank: number, sequence: number): BlockHead | undefined {
    const before = this.#headUpTo.get(rowId(rank, 0), rowId(rank, sequence)) as
      BlockHead | undefined;
    if (before && before.id + before.count > rowId(rank, sequence)) return before;
    return this.#heads.get(rowId(rank, sequence), rowId(rank + 1, 0), 1) as BlockHead | undefined;
  }

  /** Blocks from a row on, without their bodies. */
  headsFrom(rank: number, id: number, limit: number): BlockHead[] {
    return this.#heads.all(id, rowId(rank + 1, 0), limit) as BlockHead[];
  }

  /** All blocks that start above the sequence. */
  above(rank: number, sequence: number): BlockHead[] {
    return this.#heads.all(rowId(rank, sequence + 1), rowId(rank + 1, 0), -1) as BlockHead[];
  }

  delete(head: BlockHead): void {
    this.#delete.run(head.id);
    this.#topics.removed(head);
  }
}

export function storedBytes(block: EncodedBlock): number {
  return block.body.length + (block.expires?.byteLength ?? 0) + block.topics.length + 64;
}

/**
 * A check over a row's place, length and the body's own checksum: a torn page that moved a row or swapped bodies is found
 * before an event goes out under a wrong number. The body itself is checked by whoever decodes it.
 */
export function guardOf(id: number, count: number, body: Uint8Array): number {
  scratch.writeDoubleLE(id, 0);
  scratch.writeDoubleLE(count, 8);
  scratch.fill(0, 16);
  scratch.set(body.subarray(1, 5), 16);
  return crc32(scratch);
}
const scratch = Buffer.alloc(20);

function assertGuard(row: BlockRow): void {
  if (guardOf(row.id, row.count, row.body) === row.guard) return;
  throw new MeshError("BUFFER_DAMAGED", "A block lies where it was not written");
}
