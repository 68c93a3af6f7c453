import { createHash } from "node:crypto";
import { sleep } from "@fleetmesh/core";
import {
  compareMessageIds,
  type MessageId,
  type OutgoingMessage,
  type ReceivedMessage,
  type TopicPolicy,
} from "@fleetmesh/pulsar";
import { hasGrown } from "../shared/has-grown.ts";
import type { RunNumbers } from "./audit/run-numbers.ts";
import { topicStart } from "./message-place.ts";
import { unavailable, within, type StorePorts } from "./store-ports.ts";
import { TopicFollower } from "./topic-follower.ts";
import { TopicSender } from "./topic-sender.ts";
import type { TopicState } from "./topic-state.ts";

export interface TopicLogOptions {
  readonly ports: StorePorts;
  readonly state: TopicState;
  /** Asked each time the topic is ensured. */
  readonly policy: () => TopicPolicy;
  readonly producerName: string;
  /** Producers of the topic at a time; an agent always has the same. */
  readonly sessions: number;
  readonly bytesInFlightMax: number;
  readonly sendTimeoutMs: number;
  /** Folds in order; called with messages behind the state's place only. */
  readonly fold: (messages: readonly ReceivedMessage[]) => void;
  /** Of a topic whose events go to other regions. */
  readonly numbers?: RunNumbers | undefined;
  /** Resolves when it is known where the topic goes, as far as it can be now. Asked before the first message. */
  readonly readRegions?: (() => Promise<void>) | undefined;
}

const reachMsMax = 10_000;
/** Between attempts to delete: the broker counts our own connections for a moment after they were closed. */
const goneMs = [50, 100, 200, 400, 800];

/** One topic in Pulsar as the store uses it: producers in, one follower out, and how far each has come. */
export class TopicLog {
  readonly state: TopicState;
  readonly #options: TopicLogOptions;
  #follower: TopicFollower;
  #senders: TopicSender[];
  #isLeaving = false;
  #ensured: Promise<void> | undefined;
  /** The last message of ours that the broker acknowledged: what was answered may be read. */
  #acknowledged: MessageId = topicStart;

  constructor(options: TopicLogOptions) {
    this.#options = options;
    this.state = options.state;
    this.#follower = this.#newFollower();
    this.#senders = this.#newSenders();
  }

  get topic(): string {
    return this.state.topic;
  }

  /** The last message of ours that the broker acknowledged. */
  get acknowledged(): MessageId {
    return this.#acknowledged;
  }

  /** The topic is there, with its policy, and is followed. Also when it was there already. */
  async admit(): Promise<void> {
    await this.#options.ports.admin.ensureTopic(this.topic, this.#options.policy());
    this.follow();
  }

  /** The topic goes to these clusters. */
  async replicate(clusters: readonly string[]): Promise<void> {
    const policy = { ...this.#options.policy(), replicateTo: clusters };
    await this.#options.ports.admin.ensureTopic(this.topic, policy);
  }

  /** The topic exists already: its follower may begin. */
  follow(): void {
    this.#ensured ??= Promise.resolve();
    this.#follower.start();
  }

  /** Throws STORE_UNAVAILABLE when a send now is known to fail. */
  assertSendable(publisher: string): void {
    if (this.#isLeaving) throw unavailable(`${this.topic} is being removed`);
    this.#senderOf(publisher).assertSendable();
  }

  /** In the order of the calls, for one publisher. Rejects with STORE_UNAVAILABLE: it may be stored all the same. */
  async send(message: OutgoingMessage, publisher: string): Promise<MessageId> {
    const id = await this.#senderOf(publisher).send(message);
    if (compareMessageIds(id, this.#acknowledged) > 0) this.#acknowledged = id;
    return id;
  }

  /** Resolves when it is known what became of what this publisher sent. */
  recovered(publisher: string): Promise<void> {
    return this.#senderOf(publisher).recovered();
  }

  /** Resolves when the message is folded. */
  reach(id: MessageId): Promise<void> {
    return this.#follower.reach(id);
  }

  /** Resolves when everything is folded that the topic holds now. */
  async foldToEnd(): Promise<void> {
    const last = await this.#options.ports.admin.lastMessageId(this.topic);
    if (last) await this.#follower.reach(last);
  }

  /** What was answered before can be read. Throws STORE_UNAVAILABLE when that takes too long, as with the broker away. */
  async readable(): Promise<void> {
    const { state } = this;
    if (state.has(this.#acknowledged)) return;
    await within(this.#options.ports.clock, reachMsMax, {
      promise: this.#follower.reach(this.#acknowledged),
      late: () => unavailable(`${this.topic} cannot be read at the moment`),
    });
  }

  /** Nothing new is sent until `remove` is over. */
  leave(): void {
    this.#isLeaving = true;
  }

  /**
   * Deletes the topic, with what was folded up to `last`; call it after `leave`, when nothing is on its way any more. Answers why it is
   * still there. Either way the log can be used afterwards; of a topic that is gone, that makes it again.
   */
  async remove(last: MessageId): Promise<string | undefined> {
    try {
      await this.foldToEnd();
      const isWhole = compareMessageIds(this.state.lastEvent, last) <= 0;
      return isWhole ? await this.#delete() : hasGrown;
    } finally {
      this.#isLeaving = false;
    }
  }

  closeIdle(idleMs: number): void {
    for (const sender of this.#senders) sender.closeIdle(idleMs);
  }

  async stop(): Promise<void> {
    // The follower last: a sender that recovers waits for it, and is told to stop first.
    const senders = this.#senders.map((sender) => sender.stop());
    await this.#follower.stop();
    await Promise.all(senders);
  }

  /** A follower or sender that was stopped stays so: there are others afterwards. */
  async #delete(): Promise<string | undefined> {
    await this.stop();
    try {
      return await this.#deleteUnused();
    } finally {
      this.#follower = this.#newFollower();
      this.#senders = this.#newSenders();
      this.#ensured = undefined;
    }
  }

  async #deleteUnused(): Promise<string | undefined> {
    const { admin, clock } = this.#options.ports;
    for (const waitMs of goneMs) {
      const isGone = (await admin.deleteUnused(this.topic)) === undefined;
      if (isGone) return undefined;
      await sleep(clock, waitMs);
    }
    return admin.deleteUnused(this.topic);
  }

  #newFollower(): TopicFollower {
    const { ports, fold, state } = this.#options;
    return new TopicFollower({ ports, fold, topic: state.topic, place: () => state.place });
  }

  #newSenders(): TopicSender[] {
    return Array.from({ length: this.#options.sessions }, (_, shard) => this.#newSender(shard));
  }

  #newSender(shard: number): TopicSender {
    const { ports, state, bytesInFlightMax, sendTimeoutMs, ...options } = this.#options;
    return new TopicSender({
      ...{ ports, topic: state.topic, bytesInFlightMax, timeoutMs: sendTimeoutMs },
      name: `${options.producerName}-${shard}`,
      outbound: () => options.numbers?.begin(shard) ?? ((message) => message),
      ensure: async () => {
        await this.#ensure();
        await options.readRegions?.();
      },
      foldToEnd: () => this.foldToEnd(),
    });
  }

  /** Once for all senders; again after a failure. */
  #ensure(): Promise<void> {
    this.#ensured ??= this.#options.ports.admin
      .ensureTopic(this.topic, this.#options.policy())
      .then(() => this.#follower.start())
      .catch((error: unknown) => {
        this.#ensured = undefined;
        throw error;
      });
    return this.#ensured;
  }

  #senderOf(publisher: string): TopicSender {
    const [only] = this.#senders;
    if (only && this.#senders.length === 1) return only;
    const hash = createHash("md5").update(publisher).digest().readUInt32LE();
    return this.#senders[hash % this.#senders.length] as TopicSender;
  }
}
