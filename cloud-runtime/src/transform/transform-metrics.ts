import type { Registry } from "prom-client";
import { TallyCounter, type Tally } from "../telemetry/tally-counter.ts";
import { TallyHistogram, type Distribution } from "../telemetry/tally-histogram.ts";

export interface TransformMetrics {
  readonly duration: TallyHistogram<"subscription">;
  readonly events: TallyCounter<"subscription" | "outcome">;
  readonly outputs: TallyCounter<"subscription">;
  readonly errors: TallyCounter<"subscription" | "kind">;
}

const seconds = [0.000_01, 0.000_1, 0.000_25, 0.001, 0.0025, 0.01, 0.025, 0.1, 0.25, 1];

export function createTransformMetrics(registry: Registry): TransformMetrics {
  const registers = [registry];
  return {
    duration: new TallyHistogram({
      name: "fleetmesh_transform_duration_seconds",
      help: "How long a subscription's transform took for an event.",
      labelNames: ["subscription"],
      buckets: seconds,
      registers,
    }),
    events: new TallyCounter({
      name: "fleetmesh_transform_events_total",
      help: "Events that went through a transform: they became one, none or several, or it failed.",
      labelNames: ["subscription", "outcome"],
      registers,
    }),
    outputs: new TallyCounter({
      name: "fleetmesh_transform_outputs_total",
      help: "Events that transforms made.",
      labelNames: ["subscription"],
      registers,
    }),
    errors: new TallyCounter({
      name: "fleetmesh_transform_errors_total",
      help: "Transforms that failed, by why: time, memory, error, missing or result.",
      labelNames: ["subscription", "kind"],
      registers,
    }),
  };
}

/** One subscription's part of the metrics, its labels looked up once. */
export class RuleTelemetry {
  readonly #metrics: TransformMetrics;
  readonly #subscription: string;
  readonly #duration: Distribution;
  readonly #outputs: Tally;
  readonly #byCount: Readonly<Record<"one" | "none" | "several" | "failed", Tally>>;

  constructor(metrics: TransformMetrics, subscription: string) {
    const events = (outcome: string): Tally => metrics.events.of(subscription, outcome);
    this.#metrics = metrics;
    this.#subscription = subscription;
    this.#duration = metrics.duration.of(subscription);
    this.#outputs = metrics.outputs.of(subscription);
    this.#byCount = {
      ...{ one: events("one"), none: events("none") },
      ...{ several: events("several"), failed: events("failed") },
    };
  }

  took(durationMs: number): void {
    this.#duration.observe(durationMs / 1_000);
  }

  made(count: number): void {
    this.#outputs.count += count;
    const outcome = count === 1 ? "one" : count === 0 ? "none" : "several";
    this.#byCount[outcome].count += 1;
  }

  failed(why: string): void {
    this.#byCount.failed.count += 1;
    this.#metrics.errors.of(this.#subscription, why).count += 1;
  }
}
