import type { Delivery, Target } from "./target.ts";

/** Stands in for the target of a subscription whose secrets cannot be opened: nothing is sent without them. */
export class SealedTarget implements Target {
  readonly kind = "http";
  readonly #reason: string;
  #isStopped = false;

  constructor(reason: string) {
    this.#reason = reason;
  }

  deliver(delivery: Delivery): void {
    queueMicrotask(() => {
      if (this.#isStopped) delivery.settle({ kind: "aborted" });
      else delivery.settle({ kind: "failed", status: "sealed", detail: this.#reason });
    });
  }

  stop(): Promise<void> {
    this.#isStopped = true;
    return Promise.resolve();
  }
}
