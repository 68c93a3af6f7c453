import { compileTopicPattern, MeshError } from "@fleetmesh/core";
import type { Principal } from "@fleetmesh/door";
import type { FastifyInstance } from "fastify";
import { z } from "zod";
import { explainDelivery, type EventDecision } from "../delivery/explain-event.ts";
import { SubscriptionFilter } from "../filter/subscription-filter.ts";
import type { Subscription } from "../metadata/metadata.ts";
import type { DeliveryStore } from "../store/delivery-store.ts";
import type { EventStore, StoredEvent } from "../store/event-store.ts";
import { principalOf } from "./access.ts";

export interface ExplainRoutesPorts {
  readonly store: EventStore;
  readonly deliveries: DeliveryStore;
  /** Throws NOT_PERMITTED or SUBSCRIPTION_UNKNOWN. */
  readonly subscriptionFor: (principal: Principal, id: string) => Subscription;
}

const explainQuery = z.object({
  event: z.string().min(1).max(2_000),
  source: z.string().min(1).max(2_000).optional(),
});

/** Why an event was or was not delivered to a subscription, and whether it matches by today's rule. */
export function registerExplainRoutes(app: FastifyInstance, ports: ExplainRoutesPorts): void {
  app.get<{ Params: { id: string } }>("/v1/subscriptions/:id/explain", async (request) => {
    const principal = principalOf(request);
    const subscription = ports.subscriptionFor(principal, request.params.id);
    const { event, source } = explainQuery.parse(request.query);
    const found = (await ports.store.find(event, source)).filter(({ topic }) =>
      principal.maySubscribe(topic),
    );
    if (found.length === 0) throw notStored(event);
    const { id, topic } = subscription;
    const events = await Promise.all(found.map((one) => explain(ports, one, subscription)));
    return { subscription: id, topic, events };
  });
}

async function explain(
  { deliveries }: ExplainRoutesPorts,
  stored: StoredEvent,
  subscription: Subscription,
): Promise<object> {
  const { topic, position, entry } = stored;
  const { id, source, type } = entry.event;
  const receivedAt = new Date(entry.receivedMs).toISOString();
  const failed = new SubscriptionFilter(subscription).failedClause(entry.event);
  const rule = failed === undefined ? { matched: true } : { matched: false, failed };
  const decision = await decisionOf(deliveries, stored, subscription);
  const where = { topic, position, receivedAt, event: { id, source, type } };
  return { ...where, ...decision, subscription: undefined, rule };
}

async function decisionOf(
  deliveries: DeliveryStore,
  stored: StoredEvent,
  subscription: Subscription,
): Promise<EventDecision | { readonly outcome: "other-topic"; readonly reason: string }> {
  if (!compileTopicPattern(subscription.topic)(stored.topic)) {
    const reason = `it is on "${stored.topic}"; the subscription takes "${subscription.topic}"`;
    return { outcome: "other-topic", reason };
  }
  return explainDelivery(deliveries, stored, subscription);
}

function notStored(id: string): MeshError {
  return new MeshError("NOT_FOUND", `No event with the id "${id.slice(0, 200)}" is stored here`, {
    hint: "Retention may have dropped it, or it is in another region or still on the vehicle.",
  });
}
