import { MeshError, type Clock } from "@fleetmesh/core";
import type { MemoryStore } from "../../../cloud-runtime/src/store/memory-store.ts";

/** Far above what any test asks of one topic at one moment of simulated time. */
const readsPerMomentMax = 2_000;

/**
 * Ends a loop of reads in which no time passes: in memory it would keep the test's process busy for ever. The reader gets
 * an error and waits; the caller is told, and fails the test.
 */
export function guardReads(store: MemoryStore, clock: Clock, onLoop: (what: string) => void): void {
  const { events } = store;
  const read = events.read.bind(events);
  let [momentMs, count] = [-1, 0];
  events.read = (topic, after, limit) => {
    if (clock.monotonicMs() !== momentMs) [momentMs, count] = [clock.monotonicMs(), 0];
    count += 1;
    if (count <= readsPerMomentMax) return read(topic, after, limit);
    const what = `${topic} is read after ${after} again and again while no time passes`;
    onLoop(what);
    return Promise.reject(new MeshError("INTERNAL", what));
  };
}
