import { MeshError } from "@fleetmesh/core";
import type { Connected, MemoryBroker } from "./memory-broker.ts";
import { MemoryProducer } from "./memory-producer.ts";
import { MemoryReader } from "./memory-reader.ts";
import type {
  ProducerOptions,
  PulsarClient,
  PulsarFence,
  PulsarProducer,
  PulsarReader,
  ReaderOptions,
  TopicName,
} from "./pulsar-client.ts";

/** A client of the memory broker. `kill` is the death of its process. */
export class MemoryPulsarClient implements PulsarClient {
  readonly name = "pulsar client (memory)";
  readonly kind = "memory";
  readonly can = { takeOver: true, readLatest: true, readCompacted: true };
  readonly messageBytesMax: number;
  readonly #broker: MemoryBroker;
  readonly #connected = new Set<Connected>();
  readonly #readers = new Set<PulsarReader>();
  #isClosed = false;

  constructor(broker: MemoryBroker, messageBytesMax = 1024 * 1024) {
    this.#broker = broker;
    this.messageBytesMax = messageBytesMax;
  }

  async start(): Promise<void> {
    return Promise.resolve();
  }

  async stop(): Promise<void> {
    this.kill();
    return Promise.resolve();
  }

  /** What is in flight is stored, late or lost; nothing else comes from this client. */
  kill(): void {
    this.#isClosed = true;
    const reason = new MeshError("PULSAR_UNAVAILABLE", "The process is dead");
    for (const connected of this.#connected) connected.cut(reason);
    for (const reader of this.#readers) void reader.close();
  }

  async producer(topic: TopicName, options: ProducerOptions): Promise<PulsarProducer> {
    await this.#reach(topic);
    const other = this.#broker.names.get(`${topic}\n${options.name}`);
    if (other && options.takeOver === true)
      other.cut(new MeshError("PULSAR_FENCED", `Another took the name ${options.name ?? ""}`));
    else if (other)
      throw new MeshError("PULSAR_FENCED", `${topic} has a producer ${options.name ?? ""} already`);
    const { messageBytesMax } = this;
    const producer = new MemoryProducer(this.#broker, topic, { ...options, messageBytesMax });
    this.#connected.add(producer);
    void producer.ended.then(() => this.#connected.delete(producer));
    return producer;
  }

  async reader(topic: TopicName, options: ReaderOptions): Promise<PulsarReader> {
    await this.#reach(topic);
    const reader = new MemoryReader(this.#broker, topic, options);
    this.#readers.add(reader);
    return reader;
  }

  async fence(topic: TopicName, name: string): Promise<PulsarFence> {
    await this.#reach(topic);
    const { fences } = this.#broker;
    const place = `${topic}\n${name}`;
    if (fences.has(place)) throw new MeshError("PULSAR_FENCED", `${name} of ${topic} is not free`);
    let lose: (reason: Error) => void = () => undefined;
    const lost = new Promise<Error>((resolve) => {
      lose = resolve;
    });
    const holder: Connected = {
      cut: (reason) => {
        this.#let(place, holder);
        lose(reason);
      },
    };
    fences.set(place, holder);
    this.#broker.connect(holder, topic);
    this.#connected.add(holder);
    const release = async (): Promise<void> => {
      this.#let(place, holder);
      return Promise.resolve();
    };
    return { lost, release };
  }

  #let(place: string, holder: Connected): void {
    this.#broker.disconnect(holder);
    this.#connected.delete(holder);
    if (this.#broker.fences.get(place) === holder) this.#broker.fences.delete(place);
  }

  async #reach(topic: TopicName): Promise<void> {
    await this.#broker.step();
    if (this.#isClosed) throw new MeshError("STOPPING", "The client is closed");
    this.#broker.logOf(topic);
  }
}
