import { MeshError, sleep, type Clock, type Logger } from "@fleetmesh/core";
import {
  compareMessageIds,
  type MessageId,
  type PulsarAdmin,
  type PulsarClient,
  type PulsarFence,
  type PulsarProducer,
  type TopicName,
} from "@fleetmesh/pulsar";
import { LogCompaction } from "./log-compaction.ts";
import { LiveWrites } from "./live-writes.ts";
import { encodeWrite, removal, type StateRecord } from "./state-message.ts";
import { StateReplay } from "./state-replay.ts";

export interface StateLogOptions {
  readonly client: PulsarClient;
  readonly admin: PulsarAdmin;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly topic: TopicName;
  /** Without one the caller is the owner, by a fence that it holds. */
  readonly fenceTopic?: TopicName;
  /** Told to who finds the fence taken; also the name of the topic's one producer. */
  readonly name: string;
  /** The value that a key has now, for writing it again; undefined when it has none. Asked within `write` only. */
  readonly valueOf: (key: string) => Uint8Array | undefined;
  /** Written between two compactions. Default 64 MiB. */
  readonly compactionBytes?: number | undefined;
}

const sessionKey = "!session";
const compactionBytesDefault = 64 * 1024 * 1024;
const partBytesMax = 512 * 1024;
const headBytes = 1_024;
const inFlightBytesMax = 256 * 1024 * 1024;
const sendTimeoutMs = 15_000;
const retryMs = 250;
const nameWaitMs = 30_000;

/**
 * A table of keys and values in a Pulsar topic, with one owner at a time.
 *
 * Guarantees
 * - `open` takes the fence and gives every key's values in order, the last one last. What an owner before wrote after it lost the
 *   fence is left out.
 * - `write` resolves when all its records are durable. After a crash they are there all or none.
 * - A write that failed may be there all the same: who is told of a failure writes those keys again.
 * - What a start reads does not grow beyond about three times the live records and what was written since the last compaction: old
 *   records are written again along with new ones, dead messages are removed, and the broker is told to compact in time.
 *
 * Errors: PULSAR_FENCED (another owner), PULSAR_UNAVAILABLE, PULSAR_DENIED, EVENT_TOO_LARGE (one record beyond a message), STOPPING.
 */
export class StateLog {
  /** Resolves, with the reason, when ownership was lost: what relies on it must stop at once. */
  readonly lost: Promise<Error>;
  readonly #options: StateLogOptions;
  readonly #live = new LiveWrites();
  readonly #compaction: LogCompaction;
  #lose: (reason: Error) => void = () => undefined;
  #fence: PulsarFence | undefined;
  #producer: Promise<PulsarProducer> | undefined;
  #session = 0;
  #write = 0;
  readonly #closing = new AbortController();

  constructor(options: StateLogOptions) {
    this.#options = options;
    const { compactionBytes: bytesMax = compactionBytesDefault } = options;
    this.#compaction = new LogCompaction({ ...options, bytesMax });
    this.lost = new Promise((resolve) => {
      this.#lose = resolve;
    });
  }

  async open(apply: (record: StateRecord) => void, signal: AbortSignal): Promise<void> {
    const { admin, topic } = this.#options;
    await this.#takeFence();
    await admin.ensureTopic(topic, this.#compaction.policy);
    const producer = await this.#openProducer();
    // The end of the log is known by a message of ours behind everything: nobody else can write any more.
    const probe = await producer.send({ payload: Uint8Array.of(1), properties: {}, key: "!probe" });
    const replay = new StateReplay(this.#live, (record) => {
      if (record.key !== sessionKey) apply(record);
    });
    await this.#replay(replay, probe, AbortSignal.any([signal, this.#closing.signal]));
    this.#assertWhole(replay);
    this.#session = replay.session + 1;
    // Before anything of this session counts, no message of an older one may count any more.
    await this.write([this.#sessionRecord()]);
  }

  /** Messages of several calls are stored in the order of the calls. */
  async write(records: readonly StateRecord[]): Promise<void> {
    if (records.length === 0) return;
    const all = [...records, ...this.#rewritten(records)];
    const { messageBytesMax } = this.#options.client;
    const bytesMax = Math.min(partBytesMax, messageBytesMax - headBytes);
    this.#write += 1;
    const messages = encodeWrite(all, { session: this.#session, write: this.#write }, bytesMax);
    const messageKeys = messages.map(({ key }) => key ?? "");
    try {
      if (this.#closing.signal.aborted) throw stopped();
      const producer = await this.#openProducer();
      await Promise.all(messages.map((message) => producer.send(message)));
    } catch (error) {
      this.#live.addDead(messageKeys);
      throw error;
    }
    const deleted = new Set<string>();
    for (const { key, value } of all) if (value === undefined) deleted.add(key);
    const keys = all.map(({ key }) => key);
    this.#live.add(messageKeys, keys, deleted);
    this.#compaction.written(messages.reduce((sum, { payload }) => sum + payload.length, 0));
    await this.#remove(this.#live.takeDead());
  }

  /** How often the log was opened, by whomever. */
  get session(): number {
    return this.#session;
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#compaction.end();
    const producer = await this.#producer?.catch(() => undefined);
    await producer?.close().catch(() => undefined);
    await this.#fence?.release().catch(() => undefined);
  }

  /** What was let go of after a compaction is there for those only who can read the compacted part. */
  #assertWhole({ first }: StateReplay): void {
    if (this.#options.client.can.readCompacted || !first) return;
    if (first.session === 1 && first.write === 1 && first.index === 0) return;
    const text = `The beginning of ${this.#options.topic} was compacted: it takes the binary protocol to read it`;
    throw new MeshError("PULSAR_LIMITED", text);
  }

  async #takeFence(): Promise<void> {
    const { client, admin, fenceTopic, name } = this.#options;
    if (fenceTopic === undefined) return;
    await admin.ensureTopic(fenceTopic, {});
    this.#fence = await client.fence(fenceTopic, name);
    void this.#fence.lost.then((reason) => {
      this.#closing.abort();
      this.#lose(reason);
    });
  }

  #rewritten(records: readonly StateRecord[]): StateRecord[] {
    const keys = this.#live.toRewrite(Math.max(64, records.length));
    if (keys.length === 0) return [];
    const written = new Set(records.map(({ key }) => key));
    return keys
      .filter((key) => !written.has(key))
      .map((key) =>
        key === sessionKey ? this.#sessionRecord() : { key, value: this.#options.valueOf(key) },
      );
  }

  /** Keeps one record of the session alive, so that older sessions are known to be over as long as this is the newest. */
  #sessionRecord(): StateRecord {
    return { key: sessionKey, value: Buffer.from(String(this.#session)) };
  }

  async #remove(messageKeys: readonly string[]): Promise<void> {
    if (messageKeys.length === 0) return;
    try {
      const producer = await this.#openProducer();
      await Promise.all(messageKeys.map((key) => producer.send(removal(key))));
    } catch (error) {
      // They only take room; the next start finds them dead again.
      this.#options.logger.debug({ err: error }, "Dead messages of the state were not removed.");
    }
  }

  async #replay(replay: StateReplay, until: MessageId, signal: AbortSignal): Promise<void> {
    const { client, topic } = this.#options;
    const from = { after: "earliest", queueMax: 1_000, isCompacted: true } as const;
    const reader = await client.reader(topic, from);
    try {
      for (;;) {
        const messages = await reader.next(1_000, signal);
        if (messages.length === 0) throw stopped();
        for (const message of messages) {
          this.#compaction.written(message.payload.length);
          if (compareMessageIds(message.id, until) < 0) replay.take(message);
          else {
            replay.finish();
            return;
          }
        }
      }
    } finally {
      await reader.close();
    }
  }

  #openProducer(): Promise<PulsarProducer> {
    this.#producer ??= this.#makeProducer();
    return this.#producer;
  }

  async #makeProducer(): Promise<PulsarProducer> {
    try {
      const producer = await this.#namedProducer();
      void producer.ended.then(() => (this.#producer = undefined));
      return producer;
    } catch (error) {
      this.#producer = undefined;
      throw error;
    }
  }

  /** The name is free a while after the connection of who had it is gone. */
  async #namedProducer(): Promise<PulsarProducer> {
    const { client, clock, topic, name } = this.#options;
    const limits = { bytesInFlightMax: inFlightBytesMax, timeoutMs: sendTimeoutMs };
    // Once: who takes the name from us later has the fence. A client that cannot waits until the name is free.
    const takeOver = this.#session === 0 && client.can.takeOver;
    const options = { name, takeOver, ...limits };
    const untilMs = clock.monotonicMs() + nameWaitMs;
    for (;;) {
      if (this.#closing.signal.aborted) throw stopped();
      try {
        return await client.producer(topic, options);
      } catch (error) {
        const isFenced = MeshError.is(error, "PULSAR_FENCED");
        if (!isFenced || clock.monotonicMs() >= untilMs) throw error;
        await sleep(clock, retryMs, this.#closing.signal);
      }
    }
  }
}

function stopped(): MeshError {
  return new MeshError("STOPPING", "The state log is closed");
}
