import { MeshError, nearestName } from "@fleetmesh/core";
import type { Subscription, TopicSpec, Want } from "./metadata.ts";

export type MetadataChange =
  | { readonly kind: "put-topic"; readonly topic: TopicSpec }
  | { readonly kind: "begin-removal"; readonly topic: string }
  | { readonly kind: "end-removal"; readonly topic: string }
  | { readonly kind: "put-subscription"; readonly subscription: Subscription }
  | { readonly kind: "remove-subscription"; readonly id: string };

const namedMax = 10;

/** Topics and subscriptions in memory, and the rules by which they change. Knows nothing of how they are kept. */
export class MetadataState {
  readonly #topics = new Map<string, TopicSpec>();
  /** Topics that nobody publishes to any more, until the store has let go of them. */
  readonly #removing = new Map<string, TopicSpec>();
  readonly #subscriptions = new Map<string, Subscription>();

  topics(): readonly TopicSpec[] {
    return [...this.#topics.values()];
  }

  topic(name: string): TopicSpec | undefined {
    return this.#topics.get(name);
  }

  removing(): readonly TopicSpec[] {
    return [...this.#removing.values()];
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
    if (change.kind === "begin-removal") this.#checkRemoval(change.topic);
    if (change.kind === "remove-subscription" && !this.#subscriptions.has(change.id))
      throw subscriptionUnknown(change.id);
  }

  apply(change: MetadataChange): void {
    switch (change.kind) {
      case "put-topic":
        this.#removing.delete(change.topic.name);
        this.#topics.set(change.topic.name, change.topic);
        return;
      case "begin-removal":
        this.#beginRemoval(change.topic);
        return;
      case "end-removal":
        this.#removing.delete(change.topic);
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
    for (const topic of this.#removing.values()) {
      yield { kind: "put-topic", topic };
      yield { kind: "begin-removal", topic: topic.name };
    }
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
    if (this.#removing.has(name))
      return new MeshError("TOPIC_UNKNOWN", `The topic "${name}" is being removed`);
    const nearest = nearestName(name, [...this.#topics.keys()]);
    const suffix = nearest === undefined ? "" : ` - did you mean "${nearest}"?`;
    return new MeshError("TOPIC_UNKNOWN", `There is no topic "${name}"${suffix}`, {
      details: nearest === undefined ? {} : { nearest: [nearest] },
    });
  }

  #beginRemoval(name: string): void {
    const topic = this.#topics.get(name);
    if (!topic) return;
    this.#topics.delete(name);
    this.#removing.set(name, topic);
  }

  #checkRemoval(name: string): void {
    if (this.#removing.has(name)) return;
    if (!this.#topics.has(name)) throw this.topicUnknown(name);
    const users = this.subscriptions().filter(({ topic }) => topic === name);
    if (users.length === 0) return;
    const ids = users.slice(0, namedMax).map(({ id }) => id);
    const more = users.length > namedMax ? ` and ${users.length - namedMax} more` : "";
    const text = `The topic "${name}" is subscribed to by ${ids.join(", ")}${more}`;
    throw new MeshError("TOPIC_IN_USE", text, { details: { subscriptions: ids } });
  }

  #checkPut(subscription: Subscription): void {
    if (this.#removing.has(subscription.topic)) throw this.topicUnknown(subscription.topic);
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
