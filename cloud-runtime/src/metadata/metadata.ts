import type { Part } from "@fleetmesh/core";
import type { GroupPlace } from "../store/shared/group-place.ts";
import type { TransformSpec } from "../transform/transform.ts";

export interface TopicSpec {
  readonly name: string;
  readonly retentionMs: number;
  readonly retentionBytes: number;
  /** What its events look like: the schema itself, or where it is. Kept for people and tools; nothing is checked by it. */
  readonly schema?: string | undefined;
}

/** One filter object of the CloudEvents Subscriptions API: exactly one dialect key. */
export type FilterSpec = Readonly<Record<string, unknown>>;

export interface DeliverySpec {
  readonly maxAttempts: number;
  readonly backoff: { readonly initialMs: number; readonly maxMs: number };
  readonly timeoutMs: number;
  readonly ratePerSecond?: number | undefined;
  readonly windowMax: number;
  readonly ordered: boolean;
  /** Standard Webhooks: each push is signed with every one of these, new and old. */
  readonly signing?:
    | { readonly secret?: string | undefined; readonly secrets?: readonly string[] | undefined }
    | undefined;
  /**
   * What happens when a failing key has parked as many events as a subscription may hold: `pause` (the default) stops its
   * reading until the key goes on; `dead-letter` gives the oldest failing event up.
   */
  readonly whenBlocked?: "pause" | "dead-letter" | undefined;
}

/** What the sink answered to the validation handshake of the CloudEvents webhook spec. */
export interface Consent {
  /** Whom it holds for: a change of the sink asks anew. */
  readonly sink: string;
  /** The key of the callback by which the sink may consent later; gone when it has been used. */
  readonly key?: string | undefined;
  readonly grantedMs?: number | undefined;
  /** Pushes in a minute that the sink allows; as many as are wanted when left out. */
  readonly ratePerMinute?: number | undefined;
}

export interface Subscription {
  readonly id: string;
  /** A topic or a topic pattern. */
  readonly topic: string;
  readonly consumergroup: string;
  readonly source?: string | undefined;
  readonly types?: readonly string[] | undefined;
  readonly filters: readonly FilterSpec[];
  /** What matching events become before they are sent. */
  readonly transform?: TransformSpec | undefined;
  readonly sink: string;
  readonly protocol: "HTTP";
  readonly protocolsettings: Readonly<Record<string, unknown>>;
  readonly sinkcredential?: Readonly<Record<string, string>> | undefined;
  readonly delivery: DeliverySpec;
  /**
   * How many events had ever been stored in each topic that existed when the subscription began, at its start position. A topic
   * that is not named came into being later and counts from 0. The ledger and the lag are exact because of it.
   */
  readonly starts?: Readonly<Record<string, number>> | undefined;
  /** Other regions are told where its group is. */
  readonly replicated?: boolean | undefined;
  /** By topic, what its group had been given when it came here from another region. */
  readonly continues?: Readonly<Record<string, GroupPlace>> | undefined;
  readonly consent?: Consent | undefined;
  /** `pending`: it was asked to validate its sink, and the sink has not consented yet. */
  readonly state: "active" | "paused" | "disabled" | "pending";
  /** Why it is disabled or pending, e.g. the target answered 410. */
  readonly stateReason?: string | undefined;
  readonly revision: number;
  readonly createdMs: number;
}

/** A topic pattern that somebody here subscribed to, and since when: the link brings what other regions have of it. */
export interface Want {
  readonly pattern: string;
  readonly sinceMs: number;
}

/**
 * The region's own topics and subscriptions, from its last known good state.
 * Guarantees: a change is durable when its promise resolves; reads are from memory. Secrets never leave it in an answer.
 * Errors: TOPIC_UNKNOWN (with the nearest names), TOPIC_IN_USE, SUBSCRIPTION_UNKNOWN, SUBSCRIPTION_EXISTS, STORE_UNAVAILABLE.
 */
export interface Metadata extends Part {
  topics(): readonly TopicSpec[];
  topic(name: string): TopicSpec | undefined;
  /** The topic; created with the defaults when it is missing and topics may come into being by themselves. */
  admitTopic(name: string): Promise<TopicSpec>;
  /** A topic that is being removed stays after all. */
  putTopic(spec: TopicSpec): Promise<void>;
  /**
   * From now on the topic is unknown to who publishes or subscribes to it; `removing` has it, and its retention, until `endRemoval`. Throws
   * TOPIC_UNKNOWN, or TOPIC_IN_USE while subscriptions name it.
   */
  beginRemoval(topic: string): Promise<void>;
  removing(): readonly TopicSpec[];
  /** Forgets a topic that is being removed. Does nothing when it is not any more. */
  endRemoval(topic: string): Promise<void>;
  subscriptions(): readonly Subscription[];
  subscription(id: string): Subscription | undefined;
  /** Revision 1 makes it (SUBSCRIPTION_EXISTS when it is there); a change carries a higher revision than what it changes. */
  putSubscription(subscription: Subscription): Promise<void>;
  removeSubscription(id: string): Promise<void>;
  wants(): readonly Want[];
  onChanged(listener: () => void): () => void;
}
