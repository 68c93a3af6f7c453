import { MeshError, type Clock, type Timer } from "@fleetmesh/core";
import { Deferred } from "../binary/deferred.ts";
import { weighMessage } from "../binary/message-weight.ts";
import type { MessageId } from "../message-id.ts";
import type { OutgoingMessage, ProducerOptions, PulsarProducer } from "../pulsar-client.ts";
import { decodeMessageId } from "./message-id-text.ts";
import { isTooLargeForSocket, outgoingText, socketMessageBytesMax } from "./outgoing-text.ts";
import type { WebSocketEntry } from "./websocket-entry.ts";
import type { WebSocketSession } from "./websocket-session.ts";

export interface WebSocketProducerOptions {
  readonly entry: WebSocketEntry;
  /** persistent, tenant, namespace, topic. */
  readonly topic: readonly string[];
  readonly limits: ProducerOptions;
  readonly clock: Clock;
}

interface Sent {
  readonly message: OutgoingMessage;
  readonly bytes: number;
  readonly resolve: (id: MessageId) => void;
  readonly reject: (reason: Error) => void;
  sentMs: number;
}

/** So many are on their way at once; the rest waits here, where it takes a third less room than in base64. */
const inFlightMax = 1_000;
const bytesInFlightMax = 4 * 1024 * 1024;
/** The server's own bound must not come first: it would refuse one message in the middle. */
const serverQueueMax = 2 * inFlightMax;

/**
 * A producer over the WebSocket API. The server's own producer puts what comes together into batches, and may send again what
 * was on its way when its broker's connection broke: then copies are stored. See PulsarProducer for what is promised.
 */
export class WebSocketProducer implements PulsarProducer {
  readonly #options: WebSocketProducerOptions;
  readonly #ended = new Deferred<Error>();
  readonly #gone = new Deferred<undefined>();
  readonly #flights = new Map<string, Sent>();
  #session: WebSocketSession | undefined;
  #queue: Sent[] = [];
  #head = 0;
  #bytes = 0;
  #flightBytes = 0;
  #context = 0;
  #destinations: string | undefined;
  #failure: MeshError | undefined;
  #isScheduled = false;
  #timer: Timer | undefined;
  #drained: Deferred<undefined> | undefined;
  #closing: Promise<void> | undefined;

  /** Errors: PULSAR_UNAVAILABLE, PULSAR_DENIED, PULSAR_FENCED, TOPIC_UNKNOWN. */
  static async open(options: WebSocketProducerOptions): Promise<WebSocketProducer> {
    const producer = new WebSocketProducer(options);
    await producer.#open();
    return producer;
  }

  private constructor(options: WebSocketProducerOptions) {
    this.#options = options;
  }

  get ended(): Promise<Error> {
    return this.#ended.promise;
  }

  send(message: OutgoingMessage): Promise<MessageId> {
    const bytes = weighMessage(message);
    const refusal = this.#refusal(message, bytes);
    if (refusal !== undefined) return Promise.reject(refusal);
    this.#bytes += bytes;
    return new Promise((resolve, reject) => {
      this.#queue.push({ message, bytes, resolve, reject, sentMs: 0 });
      this.#schedule();
    });
  }

  /** Waits for what is on its way, no longer than a message may take. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #open(): Promise<void> {
    const { entry, topic, limits } = this.#options;
    const { name, timeoutMs } = limits;
    const named: Record<string, string> = name === undefined ? {} : { producerName: name };
    this.#session = await entry.open({
      asked: `a producer on ${topic.join("/")} (needs the permission produce)`,
      path: ["producer", ...topic],
      query: {
        ...named,
        batchingEnabled: "true",
        batchingMaxMessages: inFlightMax,
        batchingMaxPublishDelay: 1,
        maxPendingMessages: serverQueueMax,
        sendTimeoutMillis: timeoutMs,
      },
      onText: (text) => this.#onAnswer(text),
    });
    void this.#session.lost.then((reason) => this.#fail(reason));
  }

  #refusal(message: OutgoingMessage, bytes: number): MeshError | undefined {
    if (this.#failure !== undefined) return this.#failure;
    if (this.#closing !== undefined) return stopping();
    if (isTooLargeForSocket(message, bytes)) return tooLarge(bytes);
    // One message alone is let through, so that none is refused for ever.
    if (this.#bytes > 0 && this.#bytes + bytes > this.#options.limits.bytesInFlightMax)
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
      for (let next = this.#next(); next !== undefined; next = this.#next()) this.#transmit(next);
    } catch (error) {
      this.#fail(MeshError.from(error));
    }
  }

  /**
   * The first that waits, when it may go now. The server's producer gives a whole batch the destinations of its first message: those
   * with others wait until nothing is on its way.
   */
  #next(): Sent | undefined {
    const next = this.#queue[this.#head];
    if (next === undefined || this.#failure !== undefined) return undefined;
    if (this.#flights.size === 0) return next;
    const isFull = this.#flights.size >= inFlightMax || this.#flightBytes >= bytesInFlightMax;
    return isFull || destinationsOf(next) !== this.#destinations ? undefined : next;
  }

  #transmit(sent: Sent): void {
    const { clock, limits } = this.#options;
    this.#context += 1;
    this.#shift();
    this.#destinations = destinationsOf(sent);
    sent.sentMs = clock.monotonicMs();
    // On its way before it is encoded: should that fail, it fails with all others.
    this.#flights.set(String(this.#context), sent);
    this.#flightBytes += sent.bytes;
    this.#session?.send(outgoingText(sent.message, this.#context));
    this.#timer ??= clock.setTimer(limits.timeoutMs, () => this.#look());
  }

  #shift(): void {
    this.#head += 1;
    if (this.#head < inFlightMax && this.#head < this.#queue.length) return;
    this.#queue = this.#queue.slice(this.#head);
    this.#head = 0;
  }

  #onAnswer(text: string): void {
    const { result, messageId, context } = JSON.parse(text) as Record<string, unknown>;
    if (result !== "ok" || typeof messageId !== "string") {
      const { topic } = this.#options;
      const why = text.slice(0, 500);
      this.#fail(new MeshError("PULSAR_UNAVAILABLE", `${topic.join("/")} took no message: ${why}`));
      return;
    }
    const sent = this.#flights.get(String(context));
    if (sent === undefined)
      throw new MeshError("PULSAR_UNAVAILABLE", `Pulsar acknowledged what was not sent: ${text}`);
    this.#flights.delete(String(context));
    this.#flightBytes -= sent.bytes;
    this.#bytes -= sent.bytes;
    sent.resolve(decodeMessageId(messageId));
    if (this.#head < this.#queue.length) this.#schedule();
    else if (this.#flights.size === 0) this.#drained?.resolve(undefined);
  }

  /** Answers that wait in the socket are read first: a process that was suspended must not take the broker for dead. */
  #look(): void {
    this.#timer = undefined;
    setImmediate(() => this.#judge());
  }

  #judge(): void {
    const [oldest] = this.#flights.values();
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
    const lost = [...this.#flights.values(), ...this.#queue.slice(this.#head)];
    this.#flights.clear();
    [this.#queue, this.#head] = [[], 0];
    for (const { reject } of lost) reject(reason);
    this.#ended.resolve(reason);
    this.#drained?.resolve(undefined);
    void this.#session?.close(reason).then(() => this.#gone.resolve(undefined));
  }

  async #close(): Promise<void> {
    const isIdle = this.#head === this.#queue.length && this.#flights.size === 0;
    if (this.#failure === undefined && !isIdle) {
      this.#drained = new Deferred();
      await this.#drained.promise;
    }
    this.#fail(stopping());
    await this.#gone.promise;
  }
}

/** Undefined for most. Names of clusters have no line breaks. */
const destinationsOf = ({ message }: Sent): string | undefined => message.replicateTo?.join("\n");

const stopping = (): MeshError => new MeshError("STOPPING", "The producer is closed");

const unanswered = (topic: readonly string[], timeoutMs: number): MeshError => {
  const text = `No receipt for a message to ${topic.join("/")} in ${timeoutMs} ms`;
  return new MeshError("PULSAR_UNAVAILABLE", text);
};

const tooLarge = (bytes: number): MeshError =>
  new MeshError("EVENT_TOO_LARGE", `A message of ${bytes} bytes; at most ${socketMessageBytesMax}`);
