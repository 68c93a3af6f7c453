import { compileTopicPattern } from "@fleetmesh/core";
import { SubscriptionFilter } from "../filter/subscription-filter.ts";
import type { Metadata, Subscription } from "../metadata/metadata.ts";
import type { Attempt, DeliveryRecord, DeliveryStore } from "../store/delivery-store.ts";
import type { StoredEvent } from "../store/event-store.ts";
import { parseNumber } from "../store/shared/event-number.ts";
import { PassedEvents } from "../store/shared/passed-events.ts";

export interface ExplainPorts {
  readonly metadata: Metadata;
  readonly deliveries: DeliveryStore;
}

/** What became of one event for one subscription, and why. */
export interface EventDecision {
  readonly subscription: string;
  readonly outcome:
    | "delivered"
    | "dead-lettered"
    | "expired"
    | "retrying"
    | "filtered"
    | "before-start"
    | "elsewhere"
    | "paused"
    | "disabled"
    | "pending";
  /** The filter clause that the event did not meet, or the reason for a dead letter or a stop. */
  readonly reason?: string | undefined;
  /** What is wrong there, when a clause was not met. */
  readonly why?: string | undefined;
  readonly attempts?: number | readonly Attempt[] | undefined;
  readonly atMs?: number | undefined;
  readonly durationMs?: number | undefined;
  readonly nextMs?: number | undefined;
}

const deadLetterPage = 200;
const deadLetterPagesMax = 50;

/**
 * Decisions are recomputed from the filter as it is now, outcomes come from the store. An event whose record has gone with the
 * time looks like one that is pending; an event from before the subscription was made is told by its time of receipt.
 */
export async function explainEvent(
  { metadata, deliveries }: ExplainPorts,
  stored: StoredEvent,
): Promise<EventDecision[]> {
  const records = await deliveries.records(stored.topic, stored.position);
  const wanting = metadata
    .subscriptions()
    .filter(({ topic }) => compileTopicPattern(topic)(stored.topic));
  return Promise.all(wanting.map((one) => decisionOf(deliveries, stored, { of: one, records })));
}

/** What became of one event for one subscription that takes its topic. */
export async function explainDelivery(
  deliveries: DeliveryStore,
  stored: StoredEvent,
  subscription: Subscription,
): Promise<EventDecision> {
  const records = await deliveries.records(stored.topic, stored.position);
  return decisionOf(deliveries, stored, { of: subscription, records });
}

async function decisionOf(
  deliveries: DeliveryStore,
  stored: StoredEvent,
  { of, records }: { readonly of: Subscription; readonly records: readonly DeliveryRecord[] },
): Promise<EventDecision> {
  const { id } = of;
  const record = records.findLast((one) => one.subscription === id);
  if (record?.outcome === "dead-lettered") return deadLettered(deliveries, id, stored);
  if (record) {
    const { outcome, attempts, atMs, durationMs } = record;
    return { subscription: id, outcome, attempts, atMs, durationMs };
  }
  return (await retrying(deliveries, id, stored)) ?? undelivered(of, stored);
}

async function retrying(
  deliveries: DeliveryStore,
  subscription: string,
  { topic, position }: StoredEvent,
): Promise<EventDecision | undefined> {
  const retries = await deliveries.retries(subscription);
  const retry = retries.find((one) => one.topic === topic && one.position === position);
  if (!retry) return undefined;
  const { attempts, nextMs } = retry;
  return { subscription, outcome: "retrying", attempts, nextMs };
}

/** The dead letter itself says why; it may have been redriven or discarded since. */
async function deadLettered(
  deliveries: DeliveryStore,
  subscription: string,
  { topic, position }: StoredEvent,
): Promise<EventDecision> {
  let after: string | undefined;
  for (let page = 0; page < deadLetterPagesMax; page += 1) {
    const letters = await deliveries.deadLetters({
      subscription,
      topic,
      after,
      limit: deadLetterPage,
    });
    const letter = letters.find((one) => one.position === position);
    if (letter) {
      const { reason, attempts, atMs } = letter;
      return { subscription, outcome: "dead-lettered", reason, attempts, atMs };
    }
    after = letters.at(-1)?.id;
    if (after === undefined) break;
  }
  return { subscription, outcome: "dead-lettered", reason: "redriven or discarded since" };
}

function undelivered(subscription: Subscription, stored: StoredEvent): EventDecision {
  const { id, createdMs, state, stateReason } = subscription;
  const clause = new SubscriptionFilter(subscription).failedClause(stored.entry.event);
  if (clause !== undefined)
    return { subscription: id, outcome: "filtered", reason: clause.clause, why: clause.reason };
  const passed = subscription.continues?.[stored.topic];
  if (passed && new PassedEvents(passed).includes(stored, parseNumber(stored.number))) {
    const reason = "the group was given it in another region";
    return { subscription: id, outcome: "elsewhere", reason };
  }
  const isEarlier = subscription.starts?.[stored.topic] !== undefined;
  if (isEarlier && stored.entry.receivedMs < createdMs)
    return { subscription: id, outcome: "before-start" };
  if (state !== "active") return { subscription: id, outcome: state, reason: stateReason };
  return { subscription: id, outcome: "pending" };
}
