import type { Clock } from "@fleetmesh/core";
import type { PendingRetry } from "../store/delivery-store.ts";

/** What earlier lives of the process knew of events that will be read again. */
export class KnownRetries {
  readonly #byPlace = new Map<string, PendingRetry>();
  readonly #clock: Clock;

  constructor(retries: readonly PendingRetry[], clock: Clock) {
    this.#clock = clock;
    for (const retry of retries) this.#byPlace.set(placeOf(retry), retry);
  }

  /** Each is given once. */
  take(event: { readonly topic: string; readonly position: string }): PendingRetry | undefined {
    if (this.#byPlace.size === 0) return undefined;
    const place = placeOf(event);
    const known = this.#byPlace.get(place);
    this.#byPlace.delete(place);
    return known;
  }

  /** By the wall clock, which may have jumped while the process was away: never longer than the ladder's longest wait. */
  delayMs({ nextMs }: PendingRetry, maxMs: number): number {
    return Math.min(Math.max(0, nextMs - this.#clock.wallMs()), maxMs);
  }
}

function placeOf({ topic, position }: { topic: string; position: string }): string {
  return `${topic}\0${position}`;
}
