/** Something that runs: started once, stopped once. */
export interface Part {
  readonly name: string;
  /** Resolves when the part serves. On failure it has released what it took. */
  start(): Promise<void>;
  /**
   * Takes nothing new, finishes what is in hand, releases everything. Idempotent; also right when start failed or was
   * never called. When the signal aborts, the deadline has passed: let go of what is unfinished, losing nothing acknowledged.
   */
  stop(deadline: AbortSignal): Promise<void>;
}
