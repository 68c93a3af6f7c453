/** Time as a port: every wait and every reading of time goes through it, so that a seeded simulation can own time. */
export interface Clock {
  /** Wall clock, milliseconds since 1970. May jump: for people and for expiry only, never for order or timeouts. */
  wallMs(): number;
  /** Milliseconds from an arbitrary start; never goes back. For timeouts, leases and rates. */
  monotonicMs(): number;
  /** Calls back once after the delay. The timer does not keep the process alive. */
  setTimer(delayMs: number, callback: () => void): Timer;
}

export interface Timer {
  cancel(): void;
}

export const systemClock: Clock = {
  wallMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  setTimer(delayMs, callback) {
    const handle = setTimeout(callback, delayMs);
    handle.unref();
    return { cancel: () => clearTimeout(handle) };
  },
};

/** Waits on a clock. Resolves early, without an error, when the signal aborts: the caller's loop looks at the signal. */
export function sleep(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const done = (): void => {
      timer.cancel();
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const timer = clock.setTimer(delayMs, done);
    signal?.addEventListener("abort", done, { once: true });
  });
}
