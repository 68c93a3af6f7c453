import { MeshError, nearestName } from "@fleetmesh/core";
import type { Subscription, TopicSpec, Want } from "./metadata.ts";

export type MetadataChange =
  | { readonly kind: "put-topic"; readonly topic: TopicSpec }
  | { readonly kind: "put-subscription"; readonly subscription: Subscription }
  | { readonly kind: "remove-subscription"; readonly id: string };

/** Topics and subscriptions in memory, and the rules by which they change. Knows nothing of how they are kept. */
export class MetadataState {
  readonly #topics = new Map<string, TopicSpec>();
  readonly #subscriptions = new Map<string, Subscription>();

  topics(): readonly TopicSpec[] {
    return [...this.#topics.values()];
  }

  topic(name: string): TopicSpec | undefined {
    return this.#topics.get(name);
  }

  subscriptions(): readonly Subscription[] {
    return [...this.#subscriptions.values()];
  }

  subscription(id: string): Subscription | undefined {
    return this.#subscriptions.get(id);
  }

  /** Throws when the change is not allowed on this state; changes nothing. */
  check(change: MetadataChange): void {
    if (change.kind === "put-subscription") this.#checkPut(change.subscription);
    if (change.kind === "remove-subscription" && !this.#subscriptions.has(change.id))
      throw subscriptionUnknown(change.id);
  }

  apply(change: MetadataChange): void {
    switch (change.kind) {
      case "put-topic":
        this.#topics.set(change.topic.name, change.topic);
        return;
      case "put-subscription":
        this.#subscriptions.set(change.subscription.id, change.subscription);
        return;
      case "remove-subscription":
        this.#subscriptions.delete(change.id);
    }
  }

  /** The changes that rebuild this state from nothing. */
  *asChanges(): Generator<MetadataChange> {
    for (const topic of this.#topics.values()) yield { kind: "put-topic", topic };
    for (const subscription of this.#subscriptions.values())
      yield { kind: "put-subscription", subscription };
  }

  wants(): readonly Want[] {
    const since = new Map<string, number>();
    for (const { topic, createdMs, state } of this.#subscriptions.values()) {
      if (state === "disabled") continue;
      since.set(topic, Math.min(since.get(topic) ?? Infinity, createdMs));
    }
    return Array.from(since, ([pattern, sinceMs]) => ({ pattern, sinceMs }));
  }

  topicUnknown(name: string): MeshError {
    const nearest = nearestName(name, [...this.#topics.keys()]);
    const suffix = nearest === undefined ? "" : ` - did you mean "${nearest}"?`;
    return new MeshError("TOPIC_UNKNOWN", `There is no topic "${name}"${suffix}`, {
      details: nearest === undefined ? {} : { nearest: [nearest] },
    });
  }

  #checkPut(subscription: Subscription): void {
    const kept = this.#subscriptions.get(subscription.id);
    if (kept === undefined || subscription.revision > kept.revision) return;
    const why = subscription.revision === 1 ? "exists already" : "was changed meanwhile";
    throw new MeshError(
      "SUBSCRIPTION_EXISTS",
      `The subscription "${subscription.id}" ${why} (revision ${kept.revision})`,
      { details: { revision: kept.revision } },
    );
  }
}

export function subscriptionUnknown(id: string): MeshError {
  return new MeshError("SUBSCRIPTION_UNKNOWN", `There is no subscription "${id}"`);
}
