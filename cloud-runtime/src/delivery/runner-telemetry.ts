import type { Tally } from "../telemetry/tally-counter.ts";
import type { Distribution } from "../telemetry/tally-histogram.ts";
import type { DeliveryMetrics } from "./delivery-metrics.ts";

/** A subscription's view of the metrics, with the labels looked up once and not for every event. */
export class RunnerTelemetry {
  readonly #metrics: DeliveryMetrics;
  readonly #subscription: string;
  readonly #target: string;
  readonly #attempts = new Map<string, Tally>();
  readonly #delivered = new Map<
    string,
    { readonly taken: Tally; readonly endToEnd: Distribution }
  >();
  readonly #duration: Distribution;

  constructor(metrics: DeliveryMetrics, subscription: string, target: string) {
    this.#metrics = metrics;
    this.#subscription = subscription;
    this.#target = target;
    this.#duration = metrics.duration.of(subscription);
  }

  attempted(outcome: string, durationMs: number): void {
    let tally = this.#attempts.get(outcome);
    if (!tally) {
      tally = this.#metrics.attempts.of(this.#subscription, outcome);
      this.#attempts.set(outcome, tally);
    }
    tally.count += 1;
    this.#duration.observe(durationMs / 1_000);
  }

  delivered(topic: string, endToEndMs: number): void {
    let known = this.#delivered.get(topic);
    if (!known) {
      const taken = this.#metrics.delivered.of(topic, this.#subscription, this.#target);
      known = { taken, endToEnd: this.#metrics.endToEnd.of(topic) };
      this.#delivered.set(topic, known);
    }
    known.taken.count += 1;
    known.endToEnd.observe(Math.max(0, endToEndMs) / 1_000);
  }

  deadLettered(topic: string): void {
    this.#metrics.deadLettered.of(topic, this.#subscription).count += 1;
  }
}
