import type { MessageId } from "./message-id.ts";
import type { TopicName } from "./pulsar-client.ts";

/** How the brokers of other clusters reach a cluster. */
export interface ClusterAddress {
  /** http://host:8080 or https://host:8443 */
  readonly adminUrl: string;
  /** pulsar://host:6650 or pulsar+ssl://host:6651 */
  readonly brokerUrl: string;
  /** By which the other brokers come in; their own when left out. */
  readonly token?: string | undefined;
}

/** One topic on its way to one other cluster, as the broker that sends it tells. */
export interface Replicator {
  readonly cluster: string;
  readonly isConnected: boolean;
  /** Entries of the topic, each a message or a batch of them, that are not there yet. */
  readonly backlog: number;
  /** The last message that is there; undefined before the first. */
  readonly place: MessageId | undefined;
}

/** Where a replicator begins: behind this message, or at the oldest that is kept. */
export type ReplicationStart = MessageId | "earliest";

/**
 * Geo-replication out of one cluster, for one tenant and namespace. Every call is idempotent.
 *
 * Guarantees
 * - What `setClusters` was told has been read back when it resolves.
 * - A replicator that `prepare` was called for begins exactly at the place it was given, whenever its cluster is set, and keeps
 *   what was published from there on: nothing is missed and nothing comes twice. A batch of which a part lies behind the place
 *   comes whole.
 * - The clusters of one topic are not those of another, and the mesh's own topics are never replicated.
 *
 * Errors: PULSAR_UNAVAILABLE (retryable), PULSAR_DENIED with the missing permission named, TOPIC_UNKNOWN.
 */
export interface ReplicationAdmin {
  /** Tells the cluster of another one; true when the record was not there or was another. */
  ensureCluster(name: string, address: ClusterAddress): Promise<boolean>;
  /** The tenant may be on these; the namespace's topics stay on the own cluster unless a topic says otherwise. True when it was set. */
  ensureHome(own: string, clusters: readonly string[]): Promise<boolean>;
  /** What is set on the topic itself; empty when nothing is. */
  clusters(topic: TopicName): Promise<readonly string[]>;
  /** An empty list takes the topic's own setting away. */
  setClusters(topic: TopicName, clusters: readonly string[]): Promise<void>;
  /** Also one that is prepared and not set. */
  replicators(topic: TopicName): Promise<readonly Replicator[]>;
  /** Does nothing when there is one already: it keeps its place. */
  prepare(topic: TopicName, cluster: string, start: ReplicationStart): Promise<void>;
  /**
   * Ask it after the cluster was set. False: the topic was loaded anew since `prepare`, and if that was before the cluster was set, the
   * replicator has begun at the end instead of at its place.
   */
  isHeld(topic: TopicName, cluster: string): Promise<boolean>;
  /** Lets go of what `prepare` made. Call after the cluster was taken from the topic. */
  forget(topic: TopicName, cluster: string): Promise<void>;
  /** How old the oldest message is that is not in the cluster yet; 0 without any. Milliseconds, by the broker's clock. */
  lagMs(topic: TopicName, cluster: string): Promise<number>;
  /** A short text that is kept with the topic. */
  note(topic: TopicName, name: string): Promise<string | undefined>;
  setNote(topic: TopicName, name: string, text: string): Promise<void>;
}
