import { MeshError } from "@fleetmesh/core";
import type { MessageId } from "../message-id.ts";
import { messageIdOf, type BrokerConnection, type ConsumerEnd } from "./broker-connection.ts";
import {
  ackFrame,
  closeConsumerFrame,
  flowFrame,
  getLastMessageIdFrame,
  subscribeFrame,
  type SubscribeCommand,
} from "./command.ts";
import { Deferred } from "./deferred.ts";
import type { ReceivedEntry } from "./received-entry.ts";

export interface ConsumerSessionOptions {
  readonly connection: BrokerConnection;
  readonly subscribe: Omit<SubscribeCommand, "consumerId" | "requestId">;
  readonly onEntry: (entry: ReceivedEntry) => void;
}

/** One exclusive consumer on one connection, until either ends. */
export class ConsumerSession implements ConsumerEnd {
  readonly #connection: BrokerConnection;
  readonly #options: ConsumerSessionOptions;
  readonly #consumerId: number;
  readonly #lost = new Deferred<MeshError>();
  #isOver = false;

  /** Errors: PULSAR_UNAVAILABLE, PULSAR_DENIED, PULSAR_FENCED (another has the subscription), TOPIC_UNKNOWN. */
  static async open(options: ConsumerSessionOptions): Promise<ConsumerSession> {
    const session = new ConsumerSession(options);
    try {
      await session.#subscribe();
      return session;
    } catch (error) {
      // An answer that came too late must not leave a consumer behind.
      await session.close();
      throw error;
    }
  }

  private constructor(options: ConsumerSessionOptions) {
    this.#connection = options.connection;
    this.#options = options;
    this.#consumerId = options.connection.nextId();
    // Before the broker can say anything about it.
    this.#connection.attachConsumer(this.#consumerId, this);
  }

  /** Resolves, with the reason, when no message can come any more. */
  get lost(): Promise<MeshError> {
    return this.#lost.promise;
  }

  onEntry(entry: ReceivedEntry): void {
    if (!this.#isOver) this.#options.onEntry(entry);
  }

  onLost(reason: MeshError): void {
    this.#isOver = true;
    this.#lost.resolve(reason);
  }

  /** Of the topic; undefined when it is empty. */
  async lastMessageId(): Promise<MessageId | undefined> {
    const { topic } = this.#options.subscribe;
    const asked = `the last message of ${topic} (needs the permission consume)`;
    const { fields } = await this.#connection.ask(asked, (requestId) =>
      getLastMessageIdFrame(this.#consumerId, requestId),
    );
    const id = messageIdOf(fields, 1);
    return id === undefined || id.ledger < 0 ? undefined : id;
  }

  /** Lets the broker send so many more messages. */
  permit(count: number): void {
    if (!this.#isOver) this.#connection.write(flowFrame(this.#consumerId, count));
  }

  /** The broker need not count this and what lies before it as backlog. */
  acknowledge(id: MessageId): void {
    if (!this.#isOver) this.#connection.write(ackFrame(this.#consumerId, id));
  }

  /** Resolves when the broker knows, or cannot be told. */
  async close(reason = new MeshError("STOPPING", "The consumer is closed")): Promise<void> {
    const wasOver = this.#isOver;
    this.onLost(reason);
    if (wasOver) return;
    this.#connection.detach(this.#consumerId);
    const { topic } = this.#options.subscribe;
    const make = (requestId: number): Buffer => closeConsumerFrame(this.#consumerId, requestId);
    await this.#connection.ask(`closing a consumer of ${topic}`, make).catch(() => undefined);
  }

  async #subscribe(): Promise<void> {
    const { subscribe } = this.#options;
    const asked = `reading ${subscribe.topic} (needs the permission consume)`;
    await this.#connection.ask(asked, (requestId) =>
      subscribeFrame({ ...subscribe, consumerId: this.#consumerId, requestId }),
    );
  }
}
