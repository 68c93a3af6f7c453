import type { Part } from "@fleetmesh/core";
import type { MessageId } from "./message-id.ts";

/** A topic's short name inside the tenant and namespace that the client was opened for. */
export type TopicName = string;

/** What is sent: bytes, with text properties that any Pulsar consumer can read. */
export interface OutgoingMessage {
  readonly payload: Uint8Array;
  readonly properties: Readonly<Record<string, string>>;
  readonly key?: string | undefined;
  /** Wall-clock milliseconds of the event itself; the broker adds its publish time. */
  readonly eventTimeMs?: number | undefined;
  /** Clusters that get a copy; all of the topic's when undefined, none but the own when empty. */
  readonly replicateTo?: readonly string[] | undefined;
}

export interface ReceivedMessage {
  readonly id: MessageId;
  readonly payload: Uint8Array;
  readonly properties: Readonly<Record<string, string>>;
  readonly key: string | undefined;
  readonly publishedMs: number;
  /** The cluster that it was replicated from. A client that cannot tell leaves it out. */
  readonly replicatedFrom?: string | undefined;
}

export interface ProducerOptions {
  /** At most one live producer of a topic has this name; the second one is refused with PULSAR_FENCED. */
  readonly name?: string | undefined;
  /**
   * Ends another live producer of this name instead of being refused. All producers of the topic are cut for a moment then;
   * replication's come back by themselves. For who has taken the fence that guards the topic.
   */
  readonly takeOver?: boolean | undefined;
  /** Bytes sent and not yet acknowledged; `send` rejects with PULSAR_BUSY beyond it. */
  readonly bytesInFlightMax: number;
  /** After this the broker is taken for dead: what is in flight fails. */
  readonly timeoutMs: number;
}

/**
 * One ordered stream of messages into one topic.
 *
 * Guarantees
 * - `send` resolves when the broker has the message on its disks.
 * - The broker stores messages in the order of the calls.
 * - When one fails, every later one that is not acknowledged yet fails too, and the producer is over: `ended` resolves. Each of
 *   them may be stored all the same, in their order; nobody knows, until the topic is read.
 *
 * Errors: PULSAR_UNAVAILABLE (broker away, slow, out of disk, topic fenced by its broker), PULSAR_DENIED (token, permission),
 * PULSAR_TOKEN_EXPIRED (also one that is not valid yet),
 * PULSAR_FENCED (the name is another's), PULSAR_BUSY (window full; nothing was sent), EVENT_TOO_LARGE (beyond `messageBytesMax`;
 * nothing was sent, the producer lives on), STOPPING.
 */
export interface PulsarProducer {
  send(message: OutgoingMessage): Promise<MessageId>;
  /** Resolves, with the reason, once no message can be sent any more. */
  readonly ended: Promise<Error>;
  close(): Promise<void>;
}

export interface ReaderOptions {
  /** The message behind which reading begins. */
  readonly after: MessageId | "earliest" | "latest";
  /** Messages that may wait unread in this process; the broker holds the rest back. */
  readonly queueMax: number;
  /** Of what the broker has compacted, only the last message of each key. A client that cannot gives every message. */
  readonly isCompacted?: boolean | undefined;
}

/**
 * One pass over a topic, in order, without any subscription that the broker would have to remember.
 *
 * Guarantees: gives every message behind `after` once, in the topic's order, also over reconnects, which the reader makes by
 * itself; a place that retention has removed goes on at the oldest message that is kept.
 * Errors of `next`: PULSAR_DENIED, TOPIC_UNKNOWN, STOPPING. While the broker is away `next` waits.
 */
export interface PulsarReader {
  /** At least one message, at most `countMax`; an empty list when the signal aborts first. */
  next(countMax: number, signal: AbortSignal): Promise<ReceivedMessage[]>;
  close(): Promise<void>;
}

/**
 * Ownership that only one process of the mesh has at a time, held by the broker: an exclusive consumer.
 * It is free again when its holder's connection is gone.
 */
export interface PulsarFence {
  /** Resolves, with the reason, when ownership was lost: stop what it guards at once. */
  readonly lost: Promise<Error>;
  release(): Promise<void>;
}

/** What not every way to Pulsar can carry; what cannot be done is refused with PULSAR_LIMITED. */
export interface PulsarAbilities {
  /** `takeOver` of a producer's name. Without it the name is free when its holder's connection is gone, no sooner. */
  readonly takeOver: boolean;
  /** A reader from the "latest" on. */
  readonly readLatest: boolean;
  /** Only the last message of each key of what was compacted; without it a reader gives every message. */
  readonly readCompacted: boolean;
}

/**
 * One client of one tenant and namespace of one cluster.
 * Errors of all: PULSAR_UNAVAILABLE, PULSAR_DENIED, TOPIC_UNKNOWN, STOPPING.
 */
export interface PulsarClient extends Part {
  /** Told in the log and by `fleetmesh_pulsar_client_info{client}`. */
  readonly kind: "binary" | "websocket" | "memory";
  readonly can: PulsarAbilities;
  /** Payload, properties and key together. */
  readonly messageBytesMax: number;
  producer(topic: TopicName, options: ProducerOptions): Promise<PulsarProducer>;
  reader(topic: TopicName, options: ReaderOptions): Promise<PulsarReader>;
  /**
   * Takes what only one holder of this name on this topic has, whichever kind of client it has; other names of the topic are other
   * fences. The topic is the fence's own: a client may write into it. PULSAR_FENCED when another holds it.
   */
  fence(topic: TopicName, name: string): Promise<PulsarFence>;
}
