import { MeshError, type Clock, type Timer } from "@fleetmesh/core";

interface Pending {
  /** Decides, then changes the state as a whole; a throw has changed nothing. */
  readonly apply: () => void;
  readonly fail: (error: MeshError) => void;
}

/** What a crash leaves of the appends in hand: none of them, or all of them, stored but never answered. */
export type CrashLeaves = "nothing" | "unanswered";

/** The memory store's disk: a change exists when its commit has run, and is lost in a crash before. */
export class MemoryCommits {
  readonly #clock: Clock;
  readonly #delayMs: number;
  #pending: Pending[] = [];
  #timer: Timer | undefined;
  #isOpen = false;
  #fault: string | undefined;

  constructor(clock: Clock, delayMs: number) {
    this.#clock = clock;
    this.#delayMs = delayMs;
  }

  open(): void {
    this.#isOpen = true;
  }

  assertOpen(): void {
    if (!this.#isOpen) throw new MeshError("STOPPING", "The memory store is not running");
  }

  /** While set, every write fails as on a full disk. */
  setFault(reason: string | undefined): void {
    this.#fault = reason;
  }

  async submit<Result>(change: () => Result): Promise<Result> {
    this.assertOpen();
    return new Promise<Result>((resolve, reject) => {
      const apply = (): void => {
        try {
          resolve(change());
        } catch (error) {
          reject(MeshError.from(error));
        }
      };
      this.#pending.push({ apply, fail: reject });
      this.#schedule();
    });
  }

  #schedule(): void {
    if (this.#pending.length > 1) return;
    if (this.#delayMs > 0) this.#timer = this.#clock.setTimer(this.#delayMs, () => this.commit());
    else queueMicrotask(() => this.commit());
  }

  commit(): void {
    this.#timer?.cancel();
    const group = this.#pending;
    this.#pending = [];
    for (const { apply, fail } of group) {
      if (this.#fault === undefined) apply();
      else fail(new MeshError("STORE_UNAVAILABLE", this.#fault));
    }
  }

  close(): void {
    if (this.#isOpen) this.commit();
    this.#isOpen = false;
  }

  crash(leaves: CrashLeaves): void {
    this.#timer?.cancel();
    this.#isOpen = false;
    const lost = this.#pending;
    this.#pending = [];
    for (const { apply, fail } of lost) {
      // Failing first settles the promise: what is applied below is stored without an answer.
      fail(new MeshError("STORE_UNAVAILABLE", "The process died before it answered"));
      if (leaves === "unanswered") apply();
    }
  }
}
