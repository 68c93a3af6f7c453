import { setTimeout as delay } from "node:timers/promises";
import { systemClock } from "@fleetmesh/core";

const lookMs = 300;

/** Looks until there is something; undefined when the time is over. A look that throws ends it. Keeps the process alive meanwhile. */
export async function until<Found>(
  waitMs: number,
  look: () => Promise<Found | undefined>,
): Promise<Found | undefined> {
  const untilMs = systemClock.monotonicMs() + waitMs;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (systemClock.monotonicMs() >= untilMs) return undefined;
    await delay(lookMs);
  }
}
