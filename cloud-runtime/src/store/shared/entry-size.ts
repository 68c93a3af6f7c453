import type { BlockEntry } from "@fleetmesh/core";

/** What an event weighs for reading limits and retention in memory: its text and data, and about its overhead. Bytes. */
export function entrySize({ topic, event }: BlockEntry): number {
  const fixed = 64 + topic.length + event.id.length + event.source.length + event.type.length;
  return fixed + 24 * event.extensions.length + (event.data?.length ?? 0);
}
