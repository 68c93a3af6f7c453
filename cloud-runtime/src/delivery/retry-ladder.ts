import { backoffMs, type BackoffRange, type Chance } from "@fleetmesh/core";

/** At least a tenth of the rung: an unlucky draw must not hammer a failing target. */
const floor = 0.1;

/** The wait before the next attempt of a delivery, milliseconds. */
export function retryDelayMs(ladder: BackoffRange, failureCount: number, chance: Chance): number {
  return backoffMs({ ...ladder, floor }, failureCount, chance);
}
