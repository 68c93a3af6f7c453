import { setFlagsFromString } from "node:v8";

/**
 * Keeps the young generation of this process's heap from growing any further, where V8 would let each half grow to 16 MB
 * at the first burst and keep that for good. Collections become more frequent and as much shorter. V8 forgets it whenever
 * a thread's heap is made, so it is to be said again once the threads run.
 */
export function keepYoungGenerationSmall(): void {
  setFlagsFromString("--semi-space-growth-factor=1");
}
