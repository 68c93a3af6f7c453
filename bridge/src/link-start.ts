import type { Clock } from "@fleetmesh/core";
import type { PlannedLink } from "./link-plan.ts";
import type { Position, RegionLink } from "./region-link.ts";

/** Where a new link begins: nothing published since the subscription was made is missed, whatever the two clocks say. */
export async function startPosition(
  link: PlannedLink,
  ends: { readonly from: RegionLink; readonly to: RegionLink; readonly clock: Clock },
  signal: AbortSignal,
): Promise<Position> {
  // A position and not "earliest": should retention cut the head meanwhile, it is noticed.
  if (link.sinceMs === undefined) return ends.from.positionAt(link.topic, 0, signal);
  const [from, to] = await Promise.all([
    measure(ends.from, ends.clock, signal),
    measure(ends.to, ends.clock, signal),
  ]);
  const sinceAtFromMs = link.sinceMs + from.aheadMs - to.aheadMs;
  // What cannot be measured is half of each round trip; both are taken whole, and a tick of the clocks.
  const marginMs = from.roundTripMs + to.roundTripMs + 2;
  return ends.from.positionAt(link.topic, sinceAtFromMs - marginMs, signal);
}

/** How far a region's wall clock is ahead of ours. */
async function measure(
  region: RegionLink,
  clock: Clock,
  signal: AbortSignal,
): Promise<{ readonly aheadMs: number; readonly roundTripMs: number }> {
  const sentMs = clock.monotonicMs();
  const { nowMs } = await region.state(undefined, 0, signal);
  const roundTripMs = clock.monotonicMs() - sentMs;
  return { aheadMs: nowMs - (clock.wallMs() - roundTripMs / 2), roundTripMs };
}
