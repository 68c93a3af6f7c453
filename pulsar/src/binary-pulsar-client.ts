import { MeshError, type Chance, type Clock } from "@fleetmesh/core";
import { BinaryFence } from "./binary/binary-fence.ts";
import { BinaryProducer } from "./binary/binary-producer.ts";
import { BinaryReader } from "./binary/binary-reader.ts";
import { parseBrokerUrl } from "./binary/broker-address.ts";
import { messageBytesMaxDefault } from "./binary/broker-connection.ts";
import type { BrokerTls } from "./binary/broker-socket.ts";
import type { ProducerAccess } from "./binary/command.ts";
import { ConnectionPool } from "./binary/connection-pool.ts";
import type { PayloadCompression } from "./binary/payload-compression.ts";
import type {
  ProducerOptions,
  PulsarClient,
  PulsarFence,
  PulsarProducer,
  PulsarReader,
  ReaderOptions,
  TopicName,
} from "./pulsar-client.ts";

export interface BinaryPulsarClientOptions {
  /** pulsar://host:6650 or pulsar+ssl://host:6651; several hosts with commas between. */
  readonly url: string;
  readonly tenant: string;
  readonly namespace: string;
  /** Asked at each connection, so that a fresh one is taken from its file. */
  readonly token?: (() => Promise<string>) | undefined;
  readonly tls?: BrokerTls | undefined;
  /** Of what is sent; "none" when left out. */
  readonly compression?: PayloadCompression | undefined;
  /** A silence of twice this is a dead connection; 10 s when left out. */
  readonly keepAliveMs?: number | undefined;
  /** For a connection and for each answer of the broker; 15 s when left out. */
  readonly requestMsMax?: number | undefined;
  readonly clock: Clock;
  readonly chance: Chance;
}

/** Of the broker's bound of one message, for what the protocol adds. */
const overheadBytes = 64 * 1024;
const takeOversMax = 3;

interface Closable {
  close(): Promise<void>;
}

/** Pulsar's binary protocol, spoken directly. See PulsarClient for what is promised. */
export class BinaryPulsarClient implements PulsarClient {
  readonly name = "pulsar-client";
  readonly kind = "binary";
  readonly can = { takeOver: true, readLatest: true, readCompacted: true };
  readonly #options: BinaryPulsarClientOptions;
  readonly #pool: ConnectionPool;
  readonly #producers = new Set<BinaryProducer>();
  readonly #open = new Set<Closable>();
  #brokerBytesMax = messageBytesMaxDefault;
  #stopping: Promise<void> | undefined;

  /** Throws CONFIG_INVALID for an address that is none. */
  constructor(options: BinaryPulsarClientOptions) {
    const { url, token, tls, clock, keepAliveMs = 10_000, requestMsMax = 15_000 } = options;
    this.#options = options;
    const addresses = parseBrokerUrl(url);
    this.#pool = new ConnectionPool({ addresses, token, tls, clock, keepAliveMs, requestMsMax });
  }

  /** Of Pulsar's default until `start` has asked the broker. */
  get messageBytesMax(): number {
    return Math.max(1, this.#brokerBytesMax - overheadBytes);
  }

  /** Errors: PULSAR_UNAVAILABLE, PULSAR_DENIED. It may be called again after one. */
  async start(): Promise<void> {
    this.#assertRunning();
    const connection = await this.#pool.entry("send");
    this.#brokerBytesMax = connection.messageBytesMax;
  }

  stop(deadline: AbortSignal): Promise<void> {
    this.#stopping ??= this.#stop(deadline);
    return this.#stopping;
  }

  async producer(topic: TopicName, options: ProducerOptions): Promise<PulsarProducer> {
    this.#assertRunning();
    const full = this.#full(topic);
    // One that has just failed here may still have the name at the broker.
    await Promise.all(this.#goingOf(full));
    for (let takeOvers = 0; ; takeOvers += 1) {
      try {
        return await this.#openProducer(full, options, "shared");
      } catch (error) {
        const isOthers = MeshError.is(error, "PULSAR_FENCED");
        if (!isOthers || options.takeOver !== true || takeOvers === takeOversMax) throw error;
        await this.#endOthers(full, options);
      }
    }
  }

  async reader(topic: TopicName, reader: ReaderOptions): Promise<PulsarReader> {
    this.#assertRunning();
    const { clock, chance } = this.#options;
    const opening = { pool: this.#pool, topic: this.#full(topic), reader, clock, chance };
    return this.#keep(await BinaryReader.open(opening));
  }

  async fence(topic: TopicName, name: string): Promise<PulsarFence> {
    this.#assertRunning();
    const fence = await BinaryFence.take({ pool: this.#pool, topic: this.#full(topic), name });
    const closable = this.#keep({ close: () => fence.release() });
    void fence.lost.then(() => this.#open.delete(closable));
    return fence;
  }

  async #openProducer(
    topic: string,
    limits: ProducerOptions,
    access: ProducerAccess,
  ): Promise<BinaryProducer> {
    const { clock, compression = "none" } = this.#options;
    const connection = await this.#pool.forTopic(topic, "send");
    const { messageBytesMax } = this;
    const encodedBytesMax = connection.messageBytesMax;
    const bounds = { messageBytesMax, encodedBytesMax };
    const opening = { connection, topic, limits, access, bounds, compression, clock };
    const producer = this.#keep(await BinaryProducer.open(opening));
    this.#producers.add(producer);
    void producer.ended.then(async () => {
      this.#open.delete(producer);
      await producer.gone;
      this.#producers.delete(producer);
    });
    return producer;
  }

  /**
   * A producer that wants the topic for itself ends all others. It goes at once, for it would keep out the producers of
   * replication, too; those come back by themselves.
   */
  async #endOthers(topic: string, options: ProducerOptions): Promise<void> {
    const alone = await this.#openProducer(topic, { ...options, name: undefined }, "fencing");
    await alone.close();
  }

  #goingOf(topic: string): Promise<undefined>[] {
    const going = [...this.#producers].filter((producer) => producer.topic === topic);
    return going.map(({ gone }) => gone).filter((gone) => gone !== undefined);
  }

  /** Closed with the client, unless it was stopped while this was opened. */
  #keep<Kept extends Closable>(closable: Kept): Kept {
    this.#open.add(closable);
    if (this.#stopping !== undefined) void closable.close().catch(() => undefined);
    return closable;
  }

  #full(topic: TopicName): string {
    const { tenant, namespace } = this.#options;
    return `persistent://${tenant}/${namespace}/${topic}`;
  }

  #assertRunning(): void {
    if (this.#stopping !== undefined)
      throw new MeshError("STOPPING", "The Pulsar client is stopping");
  }

  async #stop(deadline: AbortSignal): Promise<void> {
    const late = new Promise<void>((resolve) => {
      if (deadline.aborted) resolve();
      deadline.addEventListener("abort", () => resolve(), { once: true });
    });
    const closing = [...this.#open].map((each) => each.close());
    await Promise.race([Promise.allSettled(closing), late]);
    await this.#pool.close();
  }
}
