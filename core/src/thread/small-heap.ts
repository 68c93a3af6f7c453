import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

export type CollectGarbage = (options: { readonly type: "minor" | "major" }) => void;

/**
 * Keeps this process's heaps from growing for good. The young generation stays as it is, where V8 would let each half grow
 * to 16 MB at the first burst; the old one is collected when half as much has come on top, where V8 would wait for several times
 * as much. Collections become more frequent and as much shorter. V8 forgets it whenever a thread's heap is made, so it
 * is to be said again once the threads run.
 */
export function keepHeapSmall(): void {
  setFlagsFromString("--semi-space-growth-factor=1");
  setFlagsFromString("--heap-growing-percent=50");
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
