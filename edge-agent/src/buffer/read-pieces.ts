import {
  agentMadeId,
  BlockReader,
  MeshError,
  type BlockEntry,
  type Segment,
} from "@fleetmesh/core";
import type { ReadRequest } from "./buffer.ts";
import type { ReadPiece } from "./buffer-messages.ts";
import { isExpired } from "./expiry.ts";
import { SegmentList } from "./segment-list.ts";

export interface ReadContext {
  readonly request: ReadRequest;
  readonly epoch: string;
  readonly ttlMs: number | undefined;
}

type BlockPiece = Extract<ReadPiece, { kind: "block" }>;

/** Decodes what the thread read to segments: numbers and agent-made ids filled in, expired events as gaps, bounds kept. */
export function segmentsOf(pieces: readonly ReadPiece[], context: ReadContext): Segment[] {
  const reading = new Reading(context);
  for (const piece of pieces) {
    if (piece.kind === "gap") reading.list.gap(piece);
    else reading.block(piece);
    if (reading.isFull) break;
  }
  return reading.list.finish();
}

class Reading {
  readonly list = new SegmentList();
  readonly #context: ReadContext;
  #count = 0;
  #byteCount = 0;

  constructor(context: ReadContext) {
    this.#context = context;
  }

  get isFull(): boolean {
    const { countMax, bytesMax } = this.#context.request;
    return this.#count >= countMax || this.#byteCount >= bytesMax;
  }

  block(piece: BlockPiece): void {
    const reader = new BlockReader(piece.body);
    if (reader.count !== piece.count)
      throw new MeshError("BLOCK_DAMAGED", "A block holds another number of events than its row");
    const expires = expiriesOf(piece);
    const { after, nowMs } = this.#context.request;
    const averageBytes = piece.body.length / Math.max(1, piece.count);
    for (let index = Math.max(0, after + 1 - piece.first); index < piece.count; index += 1) {
      if (this.isFull) return;
      const entry = this.#numbered(reader.entry(index), piece.first + index);
      const expiresMs = expires?.[index];
      const { receivedMs } = entry;
      if (isExpired({ receivedMs, expiresMs }, this.#context.ttlMs, nowMs)) {
        this.list.expired(entry);
        continue;
      }
      this.list.event(entry);
      this.#count += 1;
      this.#byteCount += averageBytes;
    }
  }

  #numbered(entry: BlockEntry, sequence: number): BlockEntry {
    const { topic, receivedMs, event } = entry;
    if (event.id !== "") return { topic, sequence, receivedMs, event };
    const { epoch, request } = this.#context;
    const id = agentMadeId(epoch, request.eventClass, sequence);
    return { topic, sequence, receivedMs, event: { ...event, id } };
  }
}

function expiriesOf(piece: BlockPiece): Float64Array | undefined {
  if (!piece.expires) return undefined;
  // The driver's memory need not be aligned to eight bytes.
  const copy = piece.expires.slice();
  return new Float64Array(copy.buffer, 0, Math.floor(copy.byteLength / 8));
}
