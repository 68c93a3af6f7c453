import type { Chance } from "@fleetmesh/core";

export interface Ladder {
  readonly initialMs: number;
  readonly maxMs: number;
}

/**
 * The wait before the next attempt: exponential with full jitter, so that what failed together does not come back together.
 * At least a tenth of the rung: an unlucky draw must not hammer a failing target.
 */
export function retryDelayMs(ladder: Ladder, failureCount: number, chance: Chance): number {
  const exponent = Math.min(failureCount - 1, 40);
  const rungMs = Math.min(ladder.maxMs, ladder.initialMs * 2 ** exponent);
  return rungMs * (0.1 + 0.9 * chance.float());
}
