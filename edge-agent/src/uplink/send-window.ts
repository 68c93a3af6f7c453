import type { UplinkLimits } from "./uplink-limits.ts";

/** One message sent and not yet taken by the region. */
export interface InFlight {
  readonly byteCount: number;
  readonly sentMs: number;
}

/** What each class may fill of the window, most important first: the rest is kept free for those above. */
const shares = [1, 0.8, 0.6] as const;
const batchesMin = 4;

/**
 * How much may be on the way at once. Bounded by bytes and batches, by the region's credit, and by a limit that follows the
 * round trip: it grows while batches are taken quickly and shrinks when they queue up somewhere, because on a slow link a
 * full window is the time that a live event of a higher class waits.
 */
export class SendWindow {
  readonly #limits: UplinkLimits;
  readonly #inFlight = new Set<InFlight>();
  #byteCount = 0;
  #creditBytes = Infinity;
  #limitBytes: number;
  #shrunkMs = -Infinity;

  constructor(limits: UplinkLimits) {
    this.#limits = limits;
    this.#limitBytes = Math.min(limits.windowBytesMax, 8 * limits.batchBytesMax);
  }

  get byteCount(): number {
    return this.#byteCount;
  }

  get batchCount(): number {
    return this.#inFlight.size;
  }

  get limitBytes(): number {
    return Math.min(this.#limitBytes, this.#creditBytes);
  }

  /** The oldest message still on the way. */
  get oldest(): InFlight | undefined {
    for (const sent of this.#inFlight) return sent;
    return undefined;
  }

  setCredit(bytes: number): void {
    this.#creditBytes = bytes;
  }

  /** One batch may always be on the way, however small the credit: its acknowledgement brings the next credit. */
  hasRoom(rank: number): boolean {
    if (this.#inFlight.size === 0) return true;
    const share = shares[rank] ?? 0.5;
    return (
      this.#inFlight.size < this.#limits.windowBatchesMax * share &&
      this.#byteCount < this.limitBytes * share
    );
  }

  add(sent: InFlight): void {
    this.#inFlight.add(sent);
    this.#byteCount += sent.byteCount;
  }

  /** The region took it. */
  taken(sent: InFlight, nowMs: number): void {
    if (!this.#inFlight.delete(sent)) return;
    this.#byteCount -= sent.byteCount;
    const roundTripMs = nowMs - sent.sentMs;
    if (roundTripMs <= this.#limits.roundTripTargetMs) this.#grow(sent.byteCount);
    else if (sent.sentMs > this.#shrunkMs) this.#shrink(sent.byteCount, nowMs);
  }

  #grow(byBytes: number): void {
    this.#limitBytes = Math.min(this.#limits.windowBytesMax, this.#limitBytes + byBytes);
  }

  /** At most once a round trip: batches sent before the last shrinking tell nothing about the new limit. */
  #shrink(batchBytes: number, nowMs: number): void {
    this.#shrunkMs = nowMs;
    this.#limitBytes = Math.max(batchesMin * batchBytes, this.#limitBytes * 0.6);
  }
}
