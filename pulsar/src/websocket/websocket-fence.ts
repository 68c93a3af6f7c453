import { MeshError, type Chance, type Clock, type Timer } from "@fleetmesh/core";
import { Deferred } from "../binary/deferred.ts";
import type { PulsarFence } from "../pulsar-client.ts";
import { acknowledgement, parseReceived } from "./received-text.ts";
import { outgoingText } from "./outgoing-text.ts";
import type { WebSocketEntry } from "./websocket-entry.ts";
import type { WebSocketSession } from "./websocket-session.ts";

export interface WebSocketFenceOptions {
  readonly entry: WebSocketEntry;
  /** persistent, tenant, namespace, topic. */
  readonly topic: readonly string[];
  readonly name: string;
  /** Between two beats; a holder that does not hear one before the next is due has lost the fence. */
  readonly beatMs: number;
  readonly clock: Clock;
  readonly chance: Chance;
}

/**
 * An exclusive consumer. The server's own consumer comes back by itself when its broker's connection breaks, and tells nobody that
 * another was faster: so the holder sends itself a beat, which only the one consumer that the broker knows receives.
 */
export class WebSocketFence implements PulsarFence {
  readonly #options: WebSocketFenceOptions;
  readonly #lost = new Deferred<Error>();
  #consumer: WebSocketSession | undefined;
  #producer: WebSocketSession | undefined;
  #timer: Timer | undefined;
  /** The one that was sent last, until it is heard. */
  #beat: string | undefined;
  #isOver = false;

  /** Errors: PULSAR_FENCED when another holds it, PULSAR_UNAVAILABLE, PULSAR_DENIED, TOPIC_UNKNOWN. */
  static async take(options: WebSocketFenceOptions): Promise<WebSocketFence> {
    const fence = new WebSocketFence(options);
    await fence.#take();
    return fence;
  }

  private constructor(options: WebSocketFenceOptions) {
    this.#options = options;
  }

  get lost(): Promise<Error> {
    return this.#lost.promise;
  }

  async release(): Promise<void> {
    await this.#lose(new MeshError("STOPPING", "The fence was released"));
  }

  async #take(): Promise<void> {
    const { entry, topic, name } = this.#options;
    this.#consumer = await entry.open({
      asked: `the fence ${name} on ${topic.join("/")} (needs the permission consume)`,
      path: ["consumer", ...topic, name],
      // As the binary client has it, so that each keeps the other out.
      query: { subscriptionType: "Exclusive", subscriptionMode: "NonDurable" },
      onText: (text) => this.#hear(text),
    });
    void this.#consumer.lost.then((reason) => this.#lose(reason));
    this.#wait();
  }

  #wait(): void {
    const { clock, beatMs } = this.#options;
    if (this.#isOver) return;
    this.#timer = clock.setTimer(beatMs, () => {
      this.#speak().then(
        () => this.#wait(),
        (error: unknown) => this.#lose(MeshError.from(error)),
      );
    });
  }

  async #speak(): Promise<void> {
    if (this.#beat !== undefined)
      throw new MeshError("PULSAR_UNAVAILABLE", `The fence ${this.#options.name} is silent`);
    this.#producer ??= await this.#openProducer();
    if (this.#isOver) {
      await this.#producer.close();
      return;
    }
    this.#beat = this.#options.chance.hex64();
    const properties = { meshbeat: this.#beat };
    this.#producer.send(outgoingText({ payload: new Uint8Array(1), properties }, 0));
  }

  async #openProducer(): Promise<WebSocketSession> {
    const { entry, topic } = this.#options;
    const producer = await entry.open({
      asked: `a producer on ${topic.join("/")} (needs the permission produce)`,
      path: ["producer", ...topic],
      onText: () => undefined,
    });
    void producer.lost.then((reason) => this.#lose(reason));
    return producer;
  }

  #hear(text: string): void {
    const { ticket, properties } = parseReceived(text);
    if (properties["meshbeat"] === this.#beat) this.#beat = undefined;
    this.#consumer?.send(acknowledgement(ticket));
  }

  async #lose(reason: MeshError): Promise<void> {
    this.#isOver = true;
    this.#timer?.cancel();
    this.#lost.resolve(reason);
    await Promise.all([this.#consumer?.close(reason), this.#producer?.close(reason)]);
  }
}
