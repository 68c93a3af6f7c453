import { MeshError, type Logger } from "@fleetmesh/core";
import type { PulsarAdmin, PulsarClient, TopicName, TopicPolicy } from "@fleetmesh/pulsar";

export interface LogCompactionOptions {
  readonly client: Pick<PulsarClient, "can">;
  readonly admin: PulsarAdmin;
  readonly logger: Logger;
  readonly topic: TopicName;
  /** Written since the last time, about. */
  readonly bytesMax: number;
}

/** What lies behind the last compaction is never taken; this is how long the broker keeps what lies before it. */
const keptMs = 3_600_000;
const keptBytes = 64 * 1024 * 1024;

/**
 * Has the broker compact a log whenever so many bytes were written into it, and lets go of what was compacted: a start reads the
 * compacted part instead. A client that cannot read that keeps every message.
 */
export class LogCompaction {
  readonly #options: LogCompactionOptions;
  #bytes = 0;
  #running: Promise<void> | undefined;
  #isEnded = false;

  constructor(options: LogCompactionOptions) {
    this.#options = options;
  }

  /** What the topic is to be like before the first compaction: nothing is let go of that no compacted part has. */
  get policy(): TopicPolicy {
    return { compactionBytes: this.#options.bytesMax };
  }

  written(bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes < this.#options.bytesMax || this.#running || this.#isEnded) return;
    this.#bytes = 0;
    this.#running = this.#compact().finally(() => (this.#running = undefined));
  }

  /** What is under way goes on in the broker. */
  end(): void {
    this.#isEnded = true;
  }

  /** Never rejects: the log only takes more room until the next time. */
  async #compact(): Promise<void> {
    const { client, admin, topic, logger } = this.#options;
    try {
      await admin.compact(topic);
      if (this.#isEnded || !client.can.readCompacted) return;
      const kept = { retentionMs: keptMs, retentionBytes: keptBytes };
      await admin.ensureTopic(topic, { ...this.policy, ...kept });
    } catch (error) {
      const level = MeshError.is(error) && error.retryable ? "debug" : "warn";
      logger[level]({ err: error, topic }, "The topic was not compacted; it is tried again later.");
    }
  }
}
