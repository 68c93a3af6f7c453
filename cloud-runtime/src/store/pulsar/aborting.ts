import { stopping } from "./store-ports.ts";

/** The promise, or STOPPING when the signal aborts first. The promise goes on alone. */
export async function aborting<Result>(
  promise: Promise<Result>,
  signal: AbortSignal,
): Promise<Result> {
  let giveUp: () => void = () => undefined;
  const aborted = new Promise<never>((_, reject) => {
    giveUp = () => reject(stopping());
    if (signal.aborted) giveUp();
    else signal.addEventListener("abort", giveUp, { once: true });
  });
  aborted.catch(() => undefined);
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    promise.catch(() => undefined);
    signal.removeEventListener("abort", giveUp);
  }
}
