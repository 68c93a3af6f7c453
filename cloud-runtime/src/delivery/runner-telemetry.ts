import type { DeliveryMetrics } from "./delivery-metrics.ts";

interface Child {
  inc(by?: number): void;
}

/** A subscription's view of the metrics, with the labels looked up once and not for every event. */
export class RunnerTelemetry {
  readonly #metrics: DeliveryMetrics;
  readonly #subscription: string;
  readonly #target: string;
  readonly #attempts = new Map<string, Child>();
  readonly #delivered = new Map<
    string,
    { taken: Child; endToEnd: { observe(value: number): void } }
  >();
  readonly #duration: { observe(value: number): void };

  constructor(metrics: DeliveryMetrics, subscription: string, target: string) {
    this.#metrics = metrics;
    this.#subscription = subscription;
    this.#target = target;
    this.#duration = metrics.duration.labels(subscription);
  }

  attempted(outcome: string, durationMs: number): void {
    const known = this.#attempts.get(outcome);
    const child = known ?? this.#metrics.attempts.labels(this.#subscription, outcome);
    if (!known) this.#attempts.set(outcome, child);
    child.inc();
    this.#duration.observe(durationMs / 1_000);
  }

  delivered(topic: string, endToEndMs: number): void {
    let children = this.#delivered.get(topic);
    if (!children) {
      const taken = this.#metrics.delivered.labels(topic, this.#subscription, this.#target);
      children = { taken, endToEnd: this.#metrics.endToEnd.labels(topic) };
      this.#delivered.set(topic, children);
    }
    children.taken.inc();
    children.endToEnd.observe(Math.max(0, endToEndMs) / 1_000);
  }

  deadLettered(topic: string): void {
    this.#metrics.deadLettered.labels(topic, this.#subscription).inc();
  }
}
