import { MeshError } from "@fleetmesh/core";
import type { EventStore, Position } from "../store/event-store.ts";

export interface TrimmedRange {
  readonly to: { readonly position: Position; readonly index: number };
  /** Those of the given positions whose events retention took. */
  readonly restoredLost: readonly Position[];
}

/** Where a topic begins now, and which of some positions (in reading order) lie before that. */
export async function findTrimmed(
  store: EventStore,
  topic: string,
  positions: readonly Position[],
): Promise<TrimmedRange> {
  const bounds = await store.bounds(topic);
  let [low, high] = [0, positions.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (await isTrimmed(store, topic, positions[middle] ?? "earliest")) low = middle + 1;
    else high = middle;
  }
  // Reading after the last trimmed event's own position is still allowed.
  if (positions[low] === bounds.earliest) low += 1;
  return {
    to: { position: bounds.earliest, index: bounds.trimmed },
    restoredLost: positions.slice(0, low),
  };
}

async function isTrimmed(store: EventStore, topic: string, position: Position): Promise<boolean> {
  try {
    await store.read(topic, position, { countMax: 1, bytesMax: 1 });
    return false;
  } catch (error) {
    if (MeshError.is(error, "POSITION_TRIMMED")) return true;
    throw error;
  }
}
