/** Before this the clock was plainly never set: a time-to-live counted from such a time would say nothing. */
const plausibleMs = Date.UTC(2020, 0, 1);

export interface Lifetime {
  readonly receivedMs: number;
  readonly expiresMs: number | undefined;
}

/** Whether an event has lost its value by the cloud-corrected clock; never on a clock that was never set. */
export function isExpired(
  lifetime: Lifetime,
  ttlMs: number | undefined,
  nowMs: number | undefined,
): boolean {
  if (nowMs === undefined) return false;
  const { receivedMs, expiresMs } = lifetime;
  if (expiresMs !== undefined && expiresMs <= nowMs) return true;
  return ttlMs !== undefined && receivedMs >= plausibleMs && receivedMs + ttlMs <= nowMs;
}
