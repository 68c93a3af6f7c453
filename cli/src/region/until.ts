import { sleep, systemClock } from "@fleetmesh/core";

const lookMs = 300;

/** Looks until there is something; undefined when the time is over. A look that throws ends it. */
export async function until<Found>(
  waitMs: number,
  look: () => Promise<Found | undefined>,
): Promise<Found | undefined> {
  const untilMs = systemClock.monotonicMs() + waitMs;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (systemClock.monotonicMs() >= untilMs) return undefined;
    const waiting = sleep(systemClock, lookMs);
    // The clock's timers keep no process alive, and here nothing else may.
    const alive = setInterval(() => undefined, lookMs);
    await waiting.finally(() => clearInterval(alive));
  }
}
