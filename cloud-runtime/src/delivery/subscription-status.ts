import { compileTopicPattern } from "@fleetmesh/core";
import type { Subscription } from "../metadata/metadata.ts";
import type { EventStore } from "../store/event-store.ts";
import { noCounts, totalOf } from "./subscription-starts.ts";
import type { Dispatcher } from "./dispatcher.ts";

/** A subscription's books since its start: matchable = the ways to be settled + pending + difference, which is 0. */
export interface SubscriptionBooks {
  readonly id: string;
  /** The topic or pattern that it takes. */
  readonly topic: string;
  readonly matchable: number;
  readonly delivered: number;
  readonly filtered: number;
  readonly expired: number;
  readonly deadLettered: number;
  readonly trimmed: number;
  /** Stored, and not readable any more when its turn came. */
  readonly damaged: number;
  readonly pending: number;
  readonly difference: number;
}

export interface SubscriptionStatus {
  readonly state: Subscription["state"];
  readonly stateReason?: string | undefined;
  /** Events stored and not settled yet. */
  readonly lag: number;
  readonly delivered: number;
  readonly filtered: number;
  readonly expired: number;
  readonly deadLettered: number;
  readonly trimmed: number;
  readonly damaged: number;
  readonly lastError: string | undefined;
  /** How often a filter could not be evaluated since the process started; each counts as filtered. */
  readonly filterErrors: number;
  readonly lastFilterError?: string | undefined;
}

export async function booksOf(
  dispatcher: Dispatcher,
  store: EventStore,
  subscription: Subscription,
): Promise<SubscriptionBooks> {
  let [matchable, pending] = [0, 0];
  const sum = { ...noCounts };
  const isWanted = compileTopicPattern(subscription.topic);
  for (const topic of (await store.topics()).filter(isWanted)) {
    const { stored } = await store.bounds(topic);
    // No wait from here on: all numbers are of one moment. What was stored since the bounds were read is not part of it.
    const tracker = dispatcher.runner(subscription.id)?.feeds.get(topic)?.tracker;
    const startIndex = subscription.starts?.[topic] ?? 0;
    const readIndex = tracker?.index ?? startIndex;
    const end = Math.max(stored, readIndex);
    matchable += end - startIndex;
    pending += end - readIndex;
    if (!tracker) continue;
    pending += tracker.unsettledCount - tracker.restoredCount;
    const counts = tracker.liveCounts();
    sum.delivered += counts.delivered;
    // Fewer than none would mean that something was counted twice: then the difference shows it.
    sum.filtered += Math.max(0, counts.filtered);
    sum.expired += counts.expired;
    sum.deadLettered += counts.deadLettered;
    sum.trimmed += counts.trimmed;
    sum.damaged += counts.damaged;
  }
  const accounted = totalOf(sum) + pending;
  const { id, topic } = subscription;
  return { id, topic, matchable, ...sum, pending, difference: matchable - accounted };
}

export async function statusOf(
  dispatcher: Dispatcher,
  store: EventStore,
  subscription: Subscription,
): Promise<SubscriptionStatus> {
  const books = await booksOf(dispatcher, store, subscription);
  const { delivered, filtered, expired, deadLettered, trimmed, damaged, pending } = books;
  const { state, stateReason } = subscription;
  const runner = dispatcher.runner(subscription.id);
  const counts = { delivered, filtered, expired, deadLettered, trimmed, damaged };
  const filterErrors = runner?.filter.errorCount ?? 0;
  const lastFilterError = runner?.filter.lastError;
  const errors = { lastError: runner?.lastError, filterErrors, lastFilterError };
  return { state, stateReason, lag: pending, ...counts, ...errors };
}
