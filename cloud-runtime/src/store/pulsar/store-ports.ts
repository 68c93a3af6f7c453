import { MeshError, sleep, type Chance, type Clock, type Logger } from "@fleetmesh/core";
import type { PulsarAdmin, PulsarClient } from "@fleetmesh/pulsar";

/** What every part of the store on Pulsar works with. */
export interface StorePorts {
  readonly client: PulsarClient;
  readonly admin: PulsarAdmin;
  readonly clock: Clock;
  readonly chance: Chance;
  readonly logger: Logger;
}

export const retryRange = { initialMs: 100, maxMs: 3_000, floor: 0.3 };

export function unavailable(why: string, cause?: unknown): MeshError {
  const options = cause === undefined ? {} : { cause };
  return new MeshError("STORE_UNAVAILABLE", why, { retryAfterSeconds: 1, ...options });
}

export function stopping(): MeshError {
  return new MeshError("STOPPING", "The store is not running");
}

/** The promise's result, or `late` when it takes longer. The promise itself goes on. */
export async function within<Result>(
  clock: Clock,
  waitMs: number,
  work: { readonly promise: Promise<Result>; readonly late: () => MeshError },
): Promise<Result> {
  const over = new AbortController();
  const late = sleep(clock, waitMs, over.signal).then((): Result => {
    throw work.late();
  });
  // The loser of the race must not be a rejection that nobody awaits.
  late.catch(() => undefined);
  try {
    return await Promise.race([work.promise, late]);
  } finally {
    over.abort();
  }
}
