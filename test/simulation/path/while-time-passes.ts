import type { SimulatedClock } from "@fleetmesh/core";

const stepMs = 20;

/** Awaits what needs simulated time to end. Throws, rather than waits for ever, when it does not end within the time. */
export async function whileTimePasses<Result>(
  clock: SimulatedClock,
  what: string,
  promise: Promise<Result>,
): Promise<Result> {
  const progress = { isDone: false };
  const watched = promise.finally(() => (progress.isDone = true));
  watched.catch(() => undefined);
  const limitMs = clock.monotonicMs() + 120_000;
  while (clock.monotonicMs() < limitMs) {
    await clock.advance(stepMs);
    if (progress.isDone) return watched;
  }
  throw new Error(`${what} hangs: not over after 120 s of simulated time`);
}
