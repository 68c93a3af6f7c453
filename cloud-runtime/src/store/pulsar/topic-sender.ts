import { Backoff, MeshError, sleep } from "@fleetmesh/core";
import type { MessageId, OutgoingMessage, PulsarProducer, TopicName } from "@fleetmesh/pulsar";
import { retryRange, stopping, unavailable, type StorePorts } from "./store-ports.ts";

export interface SenderOptions {
  readonly ports: StorePorts;
  readonly topic: TopicName;
  /** The producer's name: the broker lets nobody else have it. */
  readonly name: string;
  readonly bytesInFlightMax: number;
  readonly timeoutMs: number;
  /** What becomes of a message on its way; asked for once for each producer. */
  readonly outbound: () => (message: OutgoingMessage) => OutgoingMessage;
  /** The topic is there, with its retention. */
  readonly ensure: () => Promise<void>;
  /** Resolves when everything that the topic holds now is folded. */
  readonly foldToEnd: () => Promise<void>;
}

interface Queued {
  readonly message: OutgoingMessage;
  readonly resolve: (id: MessageId) => void;
  readonly reject: (error: MeshError) => void;
}

type Outbound = ReturnType<SenderOptions["outbound"]>;

type State =
  | { readonly kind: "closed" }
  | { readonly kind: "opening"; readonly queue: Queued[] }
  | { readonly kind: "open"; readonly producer: PulsarProducer; readonly outbound: Outbound }
  | { readonly kind: "broken"; readonly why: string; readonly recovered: Promise<void> };

type OpenState = Extract<State, { kind: "open" }>;

/**
 * Messages into one topic in the order of the calls. After a send that failed nobody knows what is stored: nothing is taken until
 * a producer of the same name is open again, which ends the other, and the topic is folded to its end.
 */
export class TopicSender {
  readonly #options: SenderOptions;
  readonly #stopping = new AbortController();
  #state: State = { kind: "closed" };
  #refusedUntilMs = 0;
  #refusedWhy = "";
  #lastSentMs = 0;
  #hasHadName = false;
  #inFlight = 0;
  readonly #backoff: Backoff;

  constructor(options: SenderOptions) {
    this.#options = options;
    this.#backoff = new Backoff(retryRange, options.ports.chance);
  }

  /** Throws STORE_UNAVAILABLE when a send now is known to fail. */
  assertSendable(): void {
    const { topic, ports } = this.#options;
    if (this.#state.kind === "broken") throw unavailable(`${topic}: ${this.#state.why}`);
    const isRefused =
      this.#state.kind === "closed" && ports.clock.monotonicMs() < this.#refusedUntilMs;
    if (isRefused) throw unavailable(`${topic}: ${this.#refusedWhy}`);
  }

  send(message: OutgoingMessage): Promise<MessageId> {
    this.#lastSentMs = this.#options.ports.clock.monotonicMs();
    switch (this.#state.kind) {
      case "open":
        return this.#sendOver(this.#state, message);
      case "broken":
        return Promise.reject(unavailable(this.#state.why));
      case "opening":
        return queued(this.#state.queue, message);
      case "closed":
        return queued(this.#open(), message);
    }
  }

  /** Resolves when it is known what became of everything sent before. */
  async recovered(): Promise<void> {
    while (this.#state.kind === "broken") await this.#state.recovered;
  }

  /** Lets go of a producer that nobody used for so long. */
  closeIdle(idleMs: number): void {
    const { clock } = this.#options.ports;
    const isIdle = this.#inFlight === 0 && clock.monotonicMs() - this.#lastSentMs >= idleMs;
    if (this.#state.kind !== "open" || !isIdle) return;
    const { producer } = this.#state;
    this.#state = { kind: "closed" };
    producer.close().catch(() => undefined);
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    const state = this.#state;
    if (state.kind === "open") await state.producer.close().catch(() => undefined);
    if (state.kind === "broken") await state.recovered;
    if (state.kind === "opening") for (const { reject } of state.queue) reject(stopping());
  }

  async #sendOver({ producer, outbound }: OpenState, message: OutgoingMessage): Promise<MessageId> {
    this.#inFlight += 1;
    try {
      return await producer.send(outbound(message));
    } catch (error) {
      this.#broke(producer, error);
      throw unavailable(`${this.#options.topic} did not take a message`, error);
    } finally {
      this.#inFlight -= 1;
    }
  }

  #open(): Queued[] {
    const queue: Queued[] = [];
    this.#state = { kind: "opening", queue };
    this.#producer().then(
      (producer) => {
        this.#backoff.reset();
        const state = this.#opened(producer);
        for (const { message, resolve, reject } of queue)
          this.#sendOver(state, message).then(resolve, reject);
      },
      (error: unknown) => {
        // Nothing was sent: there is nothing to find out.
        this.#state = { kind: "closed" };
        this.#refusedWhy = MeshError.from(error).message;
        const { clock } = this.#options.ports;
        this.#refusedUntilMs = clock.monotonicMs() + this.#backoff.next();
        for (const { reject } of queue) reject(unavailable(this.#refusedWhy, error));
      },
    );
    return queue;
  }

  #opened(producer: PulsarProducer): OpenState {
    const state = { kind: "open", producer, outbound: this.#options.outbound() } as const;
    if (this.#isStopping()) {
      this.#state = { kind: "closed" };
      producer.close().catch(() => undefined);
      return state;
    }
    this.#state = state;
    void producer.ended.then((reason) => this.#broke(producer, reason));
    return state;
  }

  async #producer(): Promise<PulsarProducer> {
    const { ports, topic, name, bytesInFlightMax, timeoutMs, ensure } = this.#options;
    await ensure();
    if (this.#isStopping()) throw stopping();
    const producer = await ports.client.producer(topic, {
      // The fence is ours: who has the name still must not send any more. Only once: who takes it from us later has the fence.
      ...{ name, takeOver: this.#mayTakeName(), bytesInFlightMax, timeoutMs },
    });
    this.#hasHadName = true;
    if (this.#isStopping()) {
      await producer.close().catch(() => undefined);
      throw stopping();
    }
    return producer;
  }

  #mayTakeName(): boolean {
    return !this.#hasHadName && this.#options.ports.client.can.takeOver;
  }

  #isStopping(): boolean {
    return this.#stopping.signal.aborted;
  }

  #broke(producer: PulsarProducer, reason: unknown): void {
    if (this.#state.kind !== "open" || this.#state.producer !== producer) return;
    // Also when the producer itself lives on: what it did with one message of a row is not known otherwise.
    producer.close().catch(() => undefined);
    if (this.#isStopping()) {
      this.#state = { kind: "closed" };
      return;
    }
    const why = MeshError.from(reason).message;
    this.#options.ports.logger.warn({ topic: this.#options.topic, why }, "A producer ended.");
    this.#state = { kind: "broken", why, recovered: this.#recover() };
  }

  async #recover(): Promise<void> {
    const { ports, topic, foldToEnd } = this.#options;
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      let producer: PulsarProducer | undefined;
      try {
        producer = await this.#producer();
        await foldToEnd();
        this.#backoff.reset();
        this.#opened(producer);
        return;
      } catch (error) {
        await producer?.close().catch(() => undefined);
        if (this.#isStopping()) break;
        ports.logger.debug({ topic, err: error }, "The topic cannot be written yet.");
        await sleep(ports.clock, this.#backoff.next(), signal);
      }
    }
    this.#state = { kind: "closed" };
  }
}

function queued(queue: Queued[], message: OutgoingMessage): Promise<MessageId> {
  return new Promise((resolve, reject) => queue.push({ message, resolve, reject }));
}
