import type { PulsarFence } from "../pulsar-client.ts";
import type { ConnectionPool } from "./connection-pool.ts";
import { ConsumerSession } from "./consumer-session.ts";

export interface BinaryFenceOptions {
  readonly pool: ConnectionPool;
  /** In full: persistent://tenant/namespace/topic. */
  readonly topic: string;
  readonly name: string;
}

/**
 * An exclusive consumer that takes no messages. Not a durable one: the broker refuses a second one all the same, and has nothing
 * to keep, to write or to hold back for it once its holder is gone.
 */
export class BinaryFence implements PulsarFence {
  readonly #session: ConsumerSession;

  /** Errors: PULSAR_FENCED when another holds it, PULSAR_UNAVAILABLE, PULSAR_DENIED, TOPIC_UNKNOWN. */
  static async take({ pool, topic, name }: BinaryFenceOptions): Promise<BinaryFence> {
    const connection = await pool.forTopic(topic, "read");
    const subscribe = { topic, subscription: name, isDurable: false } as const;
    const onEntry = (): void => undefined;
    return new BinaryFence(await ConsumerSession.open({ connection, subscribe, onEntry }));
  }

  private constructor(session: ConsumerSession) {
    this.#session = session;
  }

  get lost(): Promise<Error> {
    return this.#session.lost;
  }

  release(): Promise<void> {
    return this.#session.close();
  }
}
