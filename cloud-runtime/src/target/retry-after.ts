/** A target may ask for silence, not for a week of it: longer waits are cut to a day. */
const retryAfterMsMax = 24 * 3_600_000;

/** Milliseconds of a Retry-After header, as seconds or as an HTTP date (RFC 9110, 10.2.3); undefined when it is neither. */
export function parseRetryAfter(value: string, wallMs: number): number | undefined {
  const text = value.trim();
  const delayMs = /^\d+$/.test(text) ? Number(text) * 1_000 : Date.parse(text) - wallMs;
  if (!Number.isFinite(delayMs)) return undefined;
  return Math.min(Math.max(0, delayMs), retryAfterMsMax);
}
