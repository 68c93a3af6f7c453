import { Counter, Gauge, type Registry } from "prom-client";
import { TallyCounter } from "../telemetry/tally-counter.ts";
import { TallyHistogram } from "../telemetry/tally-histogram.ts";

/** What the dispatcher shows of itself; the ledger's numbers come from the cursors, never from here. */
export interface DeliveryMetrics {
  readonly delivered: TallyCounter<"topic" | "subscription" | "target">;
  readonly attempts: TallyCounter<"topic" | "subscription" | "outcome">;
  readonly filtered: Counter<"topic" | "subscription">;
  readonly deadLettered: TallyCounter<"topic" | "subscription">;
  readonly filterErrors: Counter<"subscription">;
  readonly lag: Gauge<"topic" | "subscription">;
  readonly duration: TallyHistogram<"topic" | "subscription">;
  readonly endToEnd: TallyHistogram<"topic">;
}

const seconds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

export function createDeliveryMetrics(registry: Registry, collectLag: () => void): DeliveryMetrics {
  const registers = [registry];
  const perTopic = ["topic", "subscription"] as const;
  return {
    // First, because its scrape also sets what is derived from the cursors: what is registered before it would be a scrape late.
    lag: new Gauge({
      name: "fleetmesh_subscription_lag_events",
      help: "Events stored and not yet settled for the subscription.",
      labelNames: perTopic,
      registers,
      collect: collectLag,
    }),
    delivered: new TallyCounter({
      name: "fleetmesh_events_delivered_total",
      help: "Events that a target took, redriven ones included.",
      labelNames: ["topic", "subscription", "target"],
      registers,
    }),
    attempts: new TallyCounter({
      name: "fleetmesh_delivery_attempts_total",
      help: "Attempts to deliver, by how they ended.",
      labelNames: ["topic", "subscription", "outcome"],
      registers,
    }),
    filtered: new Counter({
      name: "fleetmesh_events_filtered_total",
      help: "Events read and not matched by the subscription's filter.",
      labelNames: perTopic,
      registers,
    }),
    deadLettered: new TallyCounter({
      name: "fleetmesh_events_dead_lettered_total",
      help: "Events given up and kept as dead letters.",
      labelNames: perTopic,
      registers,
    }),
    filterErrors: new Counter({
      name: "fleetmesh_filter_errors_total",
      help: "Filter evaluations that failed; counted as not matched.",
      labelNames: ["subscription"],
      registers,
    }),
    duration: new TallyHistogram({
      name: "fleetmesh_delivery_duration_seconds",
      help: "How long an attempt took.",
      labelNames: perTopic,
      buckets: seconds,
      registers,
    }),
    endToEnd: new TallyHistogram({
      name: "fleetmesh_end_to_end_seconds",
      help: "From the door that took the event first to the target's answer, by the wall clocks of both.",
      labelNames: ["topic"],
      buckets: seconds,
      registers,
    }),
  };
}
