import { MeshError, type Clock, type Timer } from "@fleetmesh/core";
import type { MessageId } from "../message-id.ts";
import type { OutgoingMessage, ProducerOptions, PulsarProducer } from "../pulsar-client.ts";
import type { BrokerConnection, ProducerEnd } from "./broker-connection.ts";
import { closeProducerFrame, producerFrame, type ProducerAccess } from "./command.ts";
import { Deferred } from "./deferred.ts";
import { isTooLarge, weighMessage, type SizeBounds } from "./message-weight.ts";
import type { PayloadCompression } from "./payload-compression.ts";
import { protocolBroken } from "./protocol-broken.ts";
import { sendFrame } from "./send-frame.ts";
import { SendQueue, type QueuedMessage } from "./send-queue.ts";

export interface BinaryProducerOptions {
  readonly connection: BrokerConnection;
  /** In full: persistent://tenant/namespace/topic. */
  readonly topic: string;
  readonly limits: ProducerOptions;
  readonly access: ProducerAccess;
  readonly bounds: SizeBounds;
  readonly compression: PayloadCompression;
  readonly clock: Clock;
}

/** One entry of the topic on its way. */
interface Flight {
  readonly sequence: number;
  readonly sentMs: number;
  readonly messages: readonly QueuedMessage[];
}

/**
 * With so many entries on their way, further messages wait for a receipt and go together: under load the broker writes few
 * large entries instead of many small ones, and an idle producer still sends at once.
 */
const flightsMax = 4;

/** Everything queued in one turn of the event loop goes as one entry. See PulsarProducer for what is promised. */
export class BinaryProducer implements PulsarProducer, ProducerEnd {
  readonly topic: string;
  readonly #options: BinaryProducerOptions;
  readonly #producerId: number;
  readonly #queue = new SendQueue();
  readonly #ended = new Deferred<Error>();
  readonly #gone = new Deferred<undefined>();
  #flights: Flight[] = [];
  #name = "";
  #bytes = 0;
  #sequence = 0;
  #failure: MeshError | undefined;
  #isScheduled = false;
  #timer: Timer | undefined;
  #drained: Deferred<undefined> | undefined;
  #closing: Promise<void> | undefined;

  /** Errors: PULSAR_UNAVAILABLE, PULSAR_DENIED, PULSAR_FENCED, TOPIC_UNKNOWN. */
  static async open(options: BinaryProducerOptions): Promise<BinaryProducer> {
    const producer = new BinaryProducer(options);
    try {
      await producer.#open();
      return producer;
    } catch (error) {
      // An answer that came too late must not leave a producer with our name behind.
      producer.#fail(MeshError.from(error));
      throw error;
    }
  }

  private constructor(options: BinaryProducerOptions) {
    this.topic = options.topic;
    this.#options = options;
    this.#producerId = options.connection.nextId();
    // Before the broker can say anything about it.
    options.connection.attachProducer(this.#producerId, this);
  }

  get ended(): Promise<Error> {
    return this.#ended.promise;
  }

  /** Undefined as long as it lives; then resolves when the broker knows, too, that it is over, and its name is free. */
  get gone(): Promise<undefined> | undefined {
    return this.#failure === undefined ? undefined : this.#gone.promise;
  }

  send(message: OutgoingMessage): Promise<MessageId> {
    const bytes = weighMessage(message);
    const refusal = this.#refusal(message, bytes);
    if (refusal !== undefined) return Promise.reject(refusal);
    this.#bytes += bytes;
    return new Promise((resolve, reject) => {
      this.#queue.push({ message, bytes, resolve, reject });
      this.#schedule();
    });
  }

  /** Waits for what is on its way, no longer than a message may take. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  onReceipt(sequence: number, { ledger, entry }: MessageId): void {
    const flight = this.#flights[0];
    if (flight === undefined || sequence !== flight.sequence) {
      const expected = flight?.sequence ?? "nothing";
      this.#fail(protocolBroken(`a receipt of message ${sequence} where ${expected} is due`));
      return;
    }
    this.#flights.shift();
    const isBatch = flight.messages.length > 1;
    for (const [index, { bytes, resolve }] of flight.messages.entries()) {
      this.#bytes -= bytes;
      resolve({ ledger, entry, batch: isBatch ? index : -1 });
    }
    if (!this.#queue.isEmpty) this.#schedule();
    else if (this.#flights.length === 0) this.#drained?.resolve(undefined);
  }

  onLost(reason: MeshError): void {
    this.#fail(reason);
  }

  async #open(): Promise<void> {
    const { connection, topic, limits, access } = this.#options;
    const name = access === "shared" ? limits.name : undefined;
    const asked = `a producer on ${topic} (needs the permission produce)`;
    const producerId = this.#producerId;
    const { fields } = await connection.ask(asked, (requestId) =>
      producerFrame({ topic, producerId, requestId, name, access }),
    );
    if (this.#failure !== undefined) throw this.#failure;
    this.#name = fields.text(2);
  }

  #refusal(message: OutgoingMessage, bytes: number): MeshError | undefined {
    if (this.#failure !== undefined) return this.#failure;
    if (this.#closing !== undefined) return stopping();
    const { limits, bounds } = this.#options;
    if (isTooLarge(message, bytes, bounds)) return tooLarge(bytes, bounds);
    // One message alone is let through, so that none is refused for ever.
    if (this.#bytes > 0 && this.#bytes + bytes > limits.bytesInFlightMax)
      return new MeshError("PULSAR_BUSY", `${this.#bytes} bytes are on their way already`);
    return undefined;
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      this.#flush();
    });
  }

  #flush(): void {
    try {
      while (this.#maySend()) this.#sendBatch(this.#queue.takeBatch());
    } catch (error) {
      this.#fail(MeshError.from(error));
    }
  }

  #maySend(): boolean {
    if (this.#failure !== undefined || this.#queue.isEmpty) return false;
    return this.#flights.length < flightsMax || this.#queue.isFull;
  }

  #sendBatch(messages: readonly QueuedMessage[]): void {
    const { connection, clock, compression } = this.#options;
    const sequence = this.#sequence;
    this.#sequence += messages.length;
    // On its way before it is encoded: should that fail, these fail with all others.
    this.#flights.push({ sequence, sentMs: clock.monotonicMs(), messages });
    const frame = sendFrame({
      producerId: this.#producerId,
      producerName: this.#name,
      sequence,
      publishedMs: clock.wallMs(),
      compression,
      messages: messages.map(({ message }) => message),
    });
    connection.write(frame);
    this.#timer ??= clock.setTimer(this.#options.limits.timeoutMs, () => this.#look());
  }

  /** Answers that wait in the socket are read first: a process that was suspended must not take the broker for dead. */
  #look(): void {
    this.#timer = undefined;
    setImmediate(() => this.#judge());
  }

  #judge(): void {
    const oldest = this.#flights[0];
    if (oldest === undefined || this.#timer !== undefined || this.#failure !== undefined) return;
    const { clock, limits, topic } = this.#options;
    const leftMs = oldest.sentMs + limits.timeoutMs - clock.monotonicMs();
    if (leftMs > 0) this.#timer = clock.setTimer(leftMs, () => this.#look());
    else this.#fail(unanswered(topic, limits.timeoutMs));
  }

  #fail(reason: MeshError): void {
    if (this.#failure !== undefined) return;
    this.#failure = reason;
    this.#timer?.cancel();
    const lost = [...this.#flights.flatMap(({ messages }) => messages), ...this.#queue.takeAll()];
    this.#flights = [];
    for (const { reject } of lost) reject(reason);
    this.#ended.resolve(reason);
    this.#drained?.resolve(undefined);
    void this.#leave();
  }

  async #close(): Promise<void> {
    if (this.#failure === undefined && (!this.#queue.isEmpty || this.#flights.length > 0)) {
      this.#drained = new Deferred();
      await this.#drained.promise;
    }
    this.#fail(stopping());
    await this.#gone.promise;
  }

  /** The broker answers when what it has of us is stored, and the name is free. */
  async #leave(): Promise<void> {
    const { connection, topic } = this.#options;
    connection.detach(this.#producerId);
    const make = (requestId: number): Buffer => closeProducerFrame(this.#producerId, requestId);
    await connection.ask(`closing a producer on ${topic}`, make).catch(() => undefined);
    this.#gone.resolve(undefined);
  }
}

const stopping = (): MeshError => new MeshError("STOPPING", "The producer is closed");

const unanswered = (topic: string, timeoutMs: number): MeshError =>
  new MeshError("PULSAR_UNAVAILABLE", `No receipt for a message to ${topic} in ${timeoutMs} ms`);

const tooLarge = (bytes: number, { messageBytesMax }: SizeBounds): MeshError =>
  new MeshError("EVENT_TOO_LARGE", `A message of ${bytes} bytes; at most ${messageBytesMax}`);
