import type { Tally } from "../telemetry/tally-counter.ts";
import type { Distribution } from "../telemetry/tally-histogram.ts";
import type { DeliveryMetrics } from "./delivery-metrics.ts";

/** What is counted for one topic of a subscription. */
interface TopicTelemetry {
  readonly attempts: Map<string, Tally>;
  readonly duration: Distribution;
  readonly taken: Tally;
  readonly endToEnd: Distribution;
  readonly deadLettered: Tally;
}

/** A subscription's view of the metrics, with the labels looked up once and not for every event. */
export class RunnerTelemetry {
  readonly #metrics: DeliveryMetrics;
  readonly #subscription: string;
  readonly #target: string;
  readonly #topics = new Map<string, TopicTelemetry>();

  constructor(metrics: DeliveryMetrics, subscription: string, target: string) {
    this.#metrics = metrics;
    this.#subscription = subscription;
    this.#target = target;
  }

  /** The subscription takes this topic: its series are there before the first event. */
  follows(topic: string): void {
    this.#of(topic);
  }

  attempted(topic: string, outcome: string, durationMs: number): void {
    const { attempts, duration } = this.#of(topic);
    let tally = attempts.get(outcome);
    if (!tally) {
      tally = this.#metrics.attempts.of(topic, this.#subscription, outcome);
      attempts.set(outcome, tally);
    }
    tally.count += 1;
    duration.observe(durationMs / 1_000);
  }

  delivered(topic: string, endToEndMs: number): void {
    const { taken, endToEnd } = this.#of(topic);
    taken.count += 1;
    endToEnd.observe(Math.max(0, endToEndMs) / 1_000);
  }

  deadLettered(topic: string): void {
    this.#of(topic).deadLettered.count += 1;
  }

  #of(topic: string): TopicTelemetry {
    const known = this.#topics.get(topic);
    if (known) return known;
    const subscription = this.#subscription;
    const made: TopicTelemetry = {
      attempts: new Map(),
      duration: this.#metrics.duration.of(topic, subscription),
      taken: this.#metrics.delivered.of(topic, subscription, this.#target),
      endToEnd: this.#metrics.endToEnd.of(topic),
      deadLettered: this.#metrics.deadLettered.of(topic, subscription),
    };
    this.#topics.set(topic, made);
    return made;
  }
}
