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

interface BlockTimes {
  readonly received_min: number;
  readonly received_max: number;
  readonly expires_max: number | null;
}

/** Whether every event of a block has: by what its row says, without reading it. */
export function isBlockExpired(
  block: BlockTimes,
  ttlMs: number | undefined,
  nowMs: number | undefined,
): boolean {
  const expiresMs = block.expires_max ?? undefined;
  if (isExpired({ receivedMs: 0, expiresMs }, undefined, nowMs)) return true;
  return [block.received_max, block.received_min].every((receivedMs) =>
    isExpired({ receivedMs, expiresMs: undefined }, ttlMs, nowMs),
  );
}
