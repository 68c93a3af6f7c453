import type { BlockEntry, Segment } from "@fleetmesh/core";

/** The size of an event as it is stored, nearly: enough to fill batches and to share out bytes. */
function entryWeight({ topic, event }: BlockEntry): number {
  let sum = 24 + topic.length + event.id.length + event.source.length + event.type.length;
  if (event.data !== undefined) sum += event.data.length;
  if (event.subject !== undefined) sum += event.subject.length;
  if (event.time !== undefined) sum += event.time.length;
  for (const [name, value] of event.extensions) sum += name.length + String(value).length;
  return sum;
}

export interface BatchWeight {
  readonly eventCount: number;
  readonly weight: number;
  readonly topics: ReadonlyMap<string, number>;
}

export function weigh(segments: readonly Segment[]): BatchWeight {
  const topics = new Map<string, number>();
  let eventCount = 0;
  let weight = 0;
  for (const segment of segments) {
    if (segment.kind !== "events") continue;
    eventCount += segment.entries.length;
    for (const entry of segment.entries) {
      const own = entryWeight(entry);
      weight += own;
      topics.set(entry.topic, (topics.get(entry.topic) ?? 0) + own);
    }
  }
  return { eventCount, weight, topics };
}

/** The bytes that each topic cost on the wire. A batch of gaps alone costs bytes too: they go to the gaps' topics. */
export function shareBytes(
  byteCount: number,
  { weight, topics }: BatchWeight,
  segments: readonly Segment[],
): ReadonlyMap<string, number> {
  const shares = new Map<string, number>();
  if (weight > 0) {
    for (const [topic, own] of topics) shares.set(topic, (byteCount * own) / weight);
    return shares;
  }
  const named = new Set<string>();
  for (const segment of segments) {
    if (segment.kind === "gap") for (const topic of Object.keys(segment.topics)) named.add(topic);
  }
  for (const topic of named) shares.set(topic, byteCount / named.size);
  return shares;
}
