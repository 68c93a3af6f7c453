export interface DrainCreditOptions {
  /** Bytes that all agents together should have in flight. */
  readonly budgetBytes: number;
  readonly creditBytesMin: number;
  readonly creditBytesMax: number;
  /** An agent counts as draining for so long after its last batch. */
  readonly activeMs: number;
  nowMs(): number;
}

/**
 * A fair share of the runtime's budget of bytes in flight for each agent that is sending. Idle ones do not take a share:
 * ten thousand parked vehicles must not slow down the one with a backlog. The share is advice; `hasRoom` is the bound.
 */
export class DrainCredit {
  readonly #options: DrainCreditOptions;
  /** In order of their last batch, oldest first. */
  readonly #active = new Map<string, number>();
  #bytes = 0;

  constructor(options: DrainCreditOptions) {
    this.#options = options;
  }

  get bytesInFlight(): number {
    return this.#bytes;
  }

  hasRoom(byteCount: number): boolean {
    return this.#bytes === 0 || this.#bytes + byteCount <= 2 * this.#options.budgetBytes;
  }

  take(agentId: string, byteCount: number): void {
    this.#active.delete(agentId);
    this.#active.set(agentId, this.#options.nowMs());
    this.#bytes += byteCount;
  }

  give(byteCount: number): void {
    this.#bytes -= byteCount;
  }

  share(): number {
    this.#expire();
    const { budgetBytes, creditBytesMin, creditBytesMax } = this.#options;
    const fair = Math.floor(budgetBytes / Math.max(1, this.#active.size));
    return Math.min(creditBytesMax, Math.max(creditBytesMin, fair));
  }

  #expire(): void {
    const before = this.#options.nowMs() - this.#options.activeMs;
    for (const [agentId, lastMs] of this.#active) {
      if (lastMs >= before) return;
      this.#active.delete(agentId);
    }
  }
}
