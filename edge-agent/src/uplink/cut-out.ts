import type { Segment } from "@fleetmesh/core";

/** The segments with each of the given sequences told as damaged instead of sent. */
export function cutOut(segments: readonly Segment[], given: ReadonlySet<number>): Segment[] {
  return segments.flatMap((segment) => {
    if (segment.kind === "gap") return [segment];
    const { first, entries } = segment;
    const parts: Segment[] = [];
    let from = 0;
    for (const [at, { sequence, topic }] of entries.entries()) {
      if (!given.has(sequence)) continue;
      if (at > from)
        parts.push({ kind: "events", first: first + from, entries: entries.slice(from, at) });
      const topics = { [topic]: 1 };
      parts.push({ kind: "gap", first: sequence, last: sequence, reason: "damaged", topics });
      from = at + 1;
    }
    if (from < entries.length)
      parts.push({ kind: "events", first: first + from, entries: entries.slice(from) });
    return parts;
  });
}
