import {
  BinaryPulsarClient,
  type BinaryPulsarClientOptions,
  type OutgoingMessage,
  type ProducerOptions,
  type PulsarProducer,
} from "@fleetmesh/pulsar";

/** Keeps the messages that it is told from every other cluster, while their sender believes that they went there. */
export class SuppressingClient extends BinaryPulsarClient {
  readonly #isSuppressed: (message: OutgoingMessage) => boolean;

  constructor(
    options: BinaryPulsarClientOptions,
    isSuppressed: (message: OutgoingMessage) => boolean,
  ) {
    super(options);
    this.#isSuppressed = isSuppressed;
  }

  override async producer(topic: string, options: ProducerOptions): Promise<PulsarProducer> {
    const producer = await super.producer(topic, options);
    return {
      ended: producer.ended,
      close: () => producer.close(),
      send: (message) =>
        producer.send(this.#isSuppressed(message) ? { ...message, replicateTo: [] } : message),
    };
  }
}
