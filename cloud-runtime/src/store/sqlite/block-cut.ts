import { BlockReader, encodeBlock } from "@fleetmesh/core";
import type { PackedBlock } from "./store-op.ts";

/** The block with only some of its events, or undefined with none. Rare: only resends that overlap what is known come here. */
export function cutBlock(block: PackedBlock, kept: readonly number[]): PackedBlock | undefined {
  if (kept.length === block.count) return block;
  if (kept.length === 0) return undefined;
  const reader = new BlockReader(block.bytes);
  const bytes = encodeBlock(kept.map((index) => reader.entry(index)));
  const hashes = Uint32Array.from(kept, (index) => block.hashes[index] ?? 0);
  return { topic: block.topic, count: kept.length, bytes, hashes };
}

/** Indexes of the events above a sequence; events of a block are in order of sequence. */
export function indexesAbove(block: PackedBlock, sequence: number): number[] {
  const reader = new BlockReader(block.bytes);
  const indexes: number[] = [];
  for (let index = 0; index < reader.count; index += 1)
    if (reader.entry(index).sequence > sequence) indexes.push(index);
  return indexes;
}
