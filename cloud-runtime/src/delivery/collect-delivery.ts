import { isTopic } from "@fleetmesh/core";
import type { Subscription } from "../metadata/metadata.ts";
import type { DeliveryMetrics } from "./delivery-metrics.ts";
import type { SubscriptionRunner } from "./subscription-runner.ts";
import { totalOf } from "./subscription-starts.ts";

interface Running {
  readonly subscription: Subscription;
  readonly runner: SubscriptionRunner;
}

/** What is derived from the cursors, for a scrape. Lag as far as the shared readers have seen. */
export function collectDelivery(
  { lag, filtered, filterErrors }: DeliveryMetrics,
  running: ReadonlyMap<string, Running>,
  readIndex: (topic: string) => number,
): void {
  lag.reset();
  filtered.reset();
  filterErrors.reset();
  for (const [id, { subscription, runner }] of running) {
    filterErrors.labels(id).inc(runner.filter.errorCount);
    if (isTopic(subscription.topic)) {
      lag.labels(subscription.topic, id).set(0);
      filtered.labels(subscription.topic, id).inc(0);
    }
    for (const [topic, feed] of runner.feeds) {
      const { tracker } = feed;
      const seen = Math.max(tracker.index, readIndex(topic));
      const counts = tracker.liveCounts();
      const settled = totalOf(counts);
      lag.labels(topic, id).set(Math.max(0, seen - tracker.startIndex - settled));
      filtered.labels(topic, id).inc(counts.filtered);
    }
  }
}
