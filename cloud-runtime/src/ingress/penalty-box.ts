import type { Clock } from "@fleetmesh/core";

const penaltyMsFirst = 1_000;
const penaltyMsMax = 30_000;
const agentCountMax = 10_000;
const forgottenMs = 10 * 60_000;

/** How long a misbehaving agent waits for its answer: doubled each time, forgotten after a good message or in time. */
export class PenaltyBox {
  readonly #clock: Clock;
  readonly #strikes = new Map<string, { readonly count: number; readonly atMs: number }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  penalise(agentId: string): number {
    const nowMs = this.#clock.monotonicMs();
    const known = this.#strikes.get(agentId);
    const count = known !== undefined && nowMs - known.atMs < forgottenMs ? known.count : 0;
    this.#strikes.delete(agentId);
    if (this.#strikes.size >= agentCountMax) this.#dropOldest();
    this.#strikes.set(agentId, { count: count + 1, atMs: nowMs });
    return Math.min(penaltyMsMax, penaltyMsFirst * 2 ** count);
  }

  forgive(agentId: string): void {
    if (this.#strikes.size > 0) this.#strikes.delete(agentId);
  }

  #dropOldest(): void {
    const oldest = this.#strikes.keys().next();
    if (!oldest.done) this.#strikes.delete(oldest.value);
  }
}
