import type { Delivery, DeliveryOutcome, Target } from "./target.ts";

/** Decides a delivery's outcome, now or later. */
export type MemoryAnswer = (delivery: Delivery) => DeliveryOutcome | Promise<DeliveryOutcome>;

/** A target inside the process, whose answers the test decides. */
export class MemoryTarget implements Target {
  readonly kind = "memory";
  readonly #answer: MemoryAnswer;
  readonly #inFlight = new Set<Delivery>();
  #isStopped = false;

  constructor(answer: MemoryAnswer = () => ({ kind: "taken", status: "200" })) {
    this.#answer = answer;
  }

  deliver(delivery: Delivery): void {
    this.#inFlight.add(delivery);
    void this.#run(delivery);
  }

  stop(): Promise<void> {
    this.#isStopped = true;
    for (const delivery of this.#inFlight) this.#settle(delivery, { kind: "aborted" });
    return Promise.resolve();
  }

  async #run(delivery: Delivery): Promise<void> {
    await Promise.resolve();
    if (this.#isStopped) {
      this.#settle(delivery, { kind: "aborted" });
      return;
    }
    try {
      this.#settle(delivery, await this.#answer(delivery));
    } catch (error) {
      this.#settle(delivery, { kind: "failed", status: "error", detail: String(error) });
    }
  }

  #settle(delivery: Delivery, outcome: DeliveryOutcome): void {
    if (this.#inFlight.delete(delivery)) delivery.settle(outcome);
  }
}
