import { MeshError, type Chance, type Clock } from "@fleetmesh/core";
import type { BrokerTls } from "./binary/broker-socket.ts";
import type {
  ProducerOptions,
  PulsarClient,
  PulsarFence,
  PulsarProducer,
  PulsarReader,
  ReaderOptions,
  TopicName,
} from "./pulsar-client.ts";
import { socketMessageBytesMax } from "./websocket/outgoing-text.ts";
import { parseWebSocketUrl } from "./websocket/websocket-address.ts";
import { WebSocketEntry } from "./websocket/websocket-entry.ts";
import { WebSocketFence } from "./websocket/websocket-fence.ts";
import { WebSocketProducer } from "./websocket/websocket-producer.ts";
import { WebSocketReader } from "./websocket/websocket-reader.ts";

export interface WebSocketPulsarClientOptions {
  /** ws://host:8080 or wss://host:8443; several with commas between. Without a path it is /ws/v2. */
  readonly url: string;
  readonly tenant: string;
  readonly namespace: string;
  /** Asked at each connection, so that a fresh one is taken from its file. Sent as a header. */
  readonly token?: (() => Promise<string>) | undefined;
  readonly tls?: BrokerTls | undefined;
  /** A silence of three times this is a dead connection; 10 s when left out. */
  readonly keepAliveMs?: number | undefined;
  /** For a connection to be made; 15 s when left out. */
  readonly requestMsMax?: number | undefined;
  /** After it a reader asks whether its topic is still there; 15 s when left out. */
  readonly silenceMsMax?: number | undefined;
  /** Between two proofs that a fence is still ours; 15 s when left out. */
  readonly beatMs?: number | undefined;
  readonly clock: Clock;
  readonly chance: Chance;
}

interface Closable {
  close(): Promise<void>;
}

/**
 * Pulsar's WebSocket API, for clusters that expose only their web port. What it cannot do is refused with PULSAR_LIMITED; its other
 * limits are in docs/pulsar-binding.md. See PulsarClient for what is promised.
 */
export class WebSocketPulsarClient implements PulsarClient {
  readonly name = "pulsar-client";
  readonly kind = "websocket";
  readonly can = { takeOver: false, readLatest: false, readCompacted: false };
  readonly messageBytesMax = socketMessageBytesMax;
  readonly #options: WebSocketPulsarClientOptions;
  readonly #entry: WebSocketEntry;
  readonly #open = new Set<Closable>();
  #stopping: Promise<void> | undefined;

  /** Throws CONFIG_INVALID for an address that is none. */
  constructor(options: WebSocketPulsarClientOptions) {
    const { url, token, tls, clock, keepAliveMs = 10_000, requestMsMax = 15_000 } = options;
    this.#options = options;
    const addresses = parseWebSocketUrl(url);
    this.#entry = new WebSocketEntry({ addresses, token, tls, clock, keepAliveMs, requestMsMax });
  }

  /** Errors: PULSAR_UNAVAILABLE. It may be called again after one. A token is looked at when a topic is used. */
  async start(): Promise<void> {
    this.#assertRunning();
    try {
      // There is nothing to open without a topic: any answer shows that a server is there.
      const look = { asked: "a look at the server", path: [], onText: () => undefined };
      await (await this.#entry.open(look)).close();
    } catch (error) {
      if (!MeshError.is(error) || error.details["pulsarStatus"] === undefined) throw error;
    }
  }

  stop(deadline: AbortSignal): Promise<void> {
    this.#stopping ??= this.#stop(deadline);
    return this.#stopping;
  }

  async producer(topic: TopicName, options: ProducerOptions): Promise<PulsarProducer> {
    this.#assertRunning();
    if (options.takeOver === true) throw limited("cannot take a producer's name from another");
    const { clock } = this.#options;
    const opening = { entry: this.#entry, topic: this.#full(topic), limits: options, clock };
    const producer = this.#keep(await WebSocketProducer.open(opening));
    void producer.ended.then(() => this.#open.delete(producer));
    return producer;
  }

  async reader(topic: TopicName, { after, queueMax }: ReaderOptions): Promise<PulsarReader> {
    this.#assertRunning();
    if (after === "latest") throw limited("cannot say which message is the last");
    const { clock, chance, silenceMsMax = 15_000 } = this.#options;
    const place = { entry: this.#entry, topic: this.#full(topic), after, queueMax };
    return this.#keep(await WebSocketReader.open({ ...place, silenceMsMax, clock, chance }));
  }

  async fence(topic: TopicName, name: string): Promise<PulsarFence> {
    this.#assertRunning();
    const { clock, chance, beatMs = 15_000 } = this.#options;
    const place = { entry: this.#entry, topic: this.#full(topic), name };
    const fence = await WebSocketFence.take({ ...place, beatMs, clock, chance });
    const closable = this.#keep({ close: () => fence.release() });
    void fence.lost.then(() => this.#open.delete(closable));
    return fence;
  }

  /** Closed with the client, unless it was stopped while this was opened. */
  #keep<Kept extends Closable>(closable: Kept): Kept {
    this.#open.add(closable);
    if (this.#stopping !== undefined) void closable.close().catch(() => undefined);
    return closable;
  }

  #full(topic: TopicName): string[] {
    const { tenant, namespace } = this.#options;
    return ["persistent", tenant, namespace, topic];
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
  }
}

function limited(what: string): MeshError {
  return new MeshError("PULSAR_LIMITED", `Pulsar's WebSocket API ${what}`);
}
