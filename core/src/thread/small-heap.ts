import { getEnvironmentData, setEnvironmentData } from "node:worker_threads";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

const wishKey = "fleetmesh small heap";

export type CollectGarbage = (options: { readonly type: "minor" | "major" }) => void;

/**
 * Keeps this process's heaps from growing for good. The young generation stays as it is, where V8 would let each half grow
 * to 16 MB at the first burst; the old one is collected when half as much has come on top, where V8 would wait for several times
 * as much. Collections become more frequent and as much shorter. V8 forgets it whenever a thread's heap is made, so it
 * is to be said again once the threads run.
 */
export function keepHeapSmall(): void {
  setEnvironmentData(wishKey, true);
  setSmallHeapFlags();
}

/**
 * In a thread, before it allocates: its heap is kept small if the program wants its heaps so. V8's flags are the process's; a thread
 * that set them by itself would slow down the collector of every program that has it as one part among others.
 */
export function keepThreadHeapSmall(): void {
  if (getEnvironmentData(wishKey) === true) setSmallHeapFlags();
}

/**
 * The collector itself, for those who know better than V8 when there is something to collect; undefined where it cannot be
 * had. Finding it makes a context, which costs memory for a while.
 */
export function findCollector(): CollectGarbage | undefined {
  setFlagsFromString("--expose-gc");
  const found: unknown = runInNewContext("typeof gc === 'function' ? gc : undefined");
  return typeof found === "function" ? (found as CollectGarbage) : undefined;
}

function setSmallHeapFlags(): void {
  setFlagsFromString("--semi-space-growth-factor=1");
  setFlagsFromString("--heap-growing-percent=50");
}
