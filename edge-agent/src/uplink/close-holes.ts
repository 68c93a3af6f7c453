import type { Segment } from "@fleetmesh/core";

/**
 * The segments with every missing stretch behind `after` told as lost. There is none, except where the region lost events that
 * it had confirmed and that were deleted here: without this it would wait for them for ever.
 * @param confirmed what the region had confirmed before: everything up to there may be gone here.
 */
export function closeHoles(
  after: number,
  segments: readonly Segment[],
  confirmed: number,
): readonly Segment[] {
  const closed: Segment[] = [];
  let next = after + 1;
  for (const segment of segments) {
    if (segment.first > next) closed.push(lost(next, segment.first - 1));
    closed.push(segment);
    next = segment.kind === "gap" ? segment.last + 1 : segment.first + segment.entries.length;
  }
  if (segments.length === 0 && next <= confirmed) closed.push(lost(next, confirmed));
  return closed.length === segments.length ? segments : closed;
}

function lost(first: number, last: number): Segment {
  return { kind: "gap", first, last, reason: "damaged", topics: {} };
}
