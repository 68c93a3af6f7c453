import type { MessageId } from "./message-id.ts";
import type { TopicName } from "./pulsar-client.ts";

/** What the mesh wants of a topic in Pulsar. */
export interface TopicPolicy {
  /** Messages are kept this long and up to so many bytes, whether or not anybody has read them. Undefined: without end. */
  readonly retentionMs?: number | undefined;
  readonly retentionBytes?: number | undefined;
  /** Clusters that hold the topic, the own among them; undefined: whatever is set, which is the bridge's to say. */
  readonly replicateTo?: readonly string[] | undefined;
  /** Only the last message of each key is kept once the broker has compacted the topic. */
  readonly compactionBytes?: number | undefined;
  /** Free text pairs kept with the topic, e.g. its schema; an empty text removes one. Others that it has are somebody else's. */
  readonly properties?: Readonly<Record<string, string>> | undefined;
}

export interface TopicDrift {
  readonly field: keyof TopicPolicy;
  readonly wanted: unknown;
  readonly found: unknown;
}

/**
 * The administration of one tenant and namespace of one cluster, over Pulsar's REST API. Every call is idempotent.
 * Errors: PULSAR_UNAVAILABLE (retryable), PULSAR_DENIED with the missing permission named, TOPIC_UNKNOWN.
 */
export interface PulsarAdmin {
  /**
   * Makes tenant and namespace when they are not there; turns the broker's own making of topics off for the namespace, and its
   * quotas of what foreign subscriptions have not read, which would stop producers.
   */
  ensureNamespace(clusters: readonly string[]): Promise<void>;
  topics(): Promise<TopicName[]>;
  /** Makes the topic when it is not there. The policy is set, and read back, before this resolves: nothing is published before. */
  ensureTopic(topic: TopicName, policy: TopicPolicy): Promise<void>;
  /** Clusters that the topic is replicated to now, the own among them, by its own setting or the namespace's. */
  replicatedTo(topic: TopicName): Promise<readonly string[]>;
  drift(topic: TopicName, policy: TopicPolicy): Promise<TopicDrift[]>;
  deleteTopic(topic: TopicName): Promise<void>;
  /** Deletes the topic unless somebody is connected to it: then tells so, in the broker's words. Undefined when it is gone. */
  deleteUnused(topic: TopicName): Promise<string | undefined>;
  /** The last message; undefined when the topic never had one or has none left. */
  lastMessageId(topic: TopicName): Promise<MessageId | undefined>;
  /** The first message that the broker stored at or after this wall-clock time; undefined when there is none. */
  messageIdAt(topic: TopicName, timeMs: number): Promise<MessageId | undefined>;
  compact(topic: TopicName): Promise<void>;
  /** True when the broker answers that it is healthy. */
  isHealthy(): Promise<boolean>;
}
