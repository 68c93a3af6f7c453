import { MeshError, type Chance, type Clock, type Timer } from "@fleetmesh/core";
import { compareMessageIds, type MessageId } from "../message-id.ts";
import type { PulsarReader, ReaderOptions, ReceivedMessage } from "../pulsar-client.ts";
import { ReadLoop } from "../read-loop.ts";
import { encodeMessageId } from "./message-id-text.ts";
import { acknowledgement, parseReceived, type SocketReceived } from "./received-text.ts";
import type { WebSocketEntry } from "./websocket-entry.ts";
import type { WebSocketSession } from "./websocket-session.ts";

export interface WebSocketReaderOptions {
  readonly entry: WebSocketEntry;
  /** persistent, tenant, namespace, topic. */
  readonly topic: readonly string[];
  readonly after: MessageId | "earliest";
  readonly queueMax: number;
  /** After such a silence the server is asked anew: it says by itself neither that a topic is gone nor that its reader is stuck. */
  readonly silenceMsMax: number;
  readonly clock: Clock;
  readonly chance: Chance;
}

/**
 * A reader over the WebSocket API. The place is ours: after a lost connection a new reader starts behind the last message that was
 * given out. See PulsarReader for what is promised.
 */
export class WebSocketReader implements PulsarReader {
  readonly #options: WebSocketReaderOptions;
  readonly #loop: ReadLoop;
  #after: ReaderOptions["after"];
  #queue: SocketReceived[] = [];
  #session: WebSocketSession | undefined;
  #silence: Timer | undefined;
  #isSilent = true;

  /** Errors: PULSAR_UNAVAILABLE, PULSAR_DENIED, TOPIC_UNKNOWN. */
  static async open(options: WebSocketReaderOptions): Promise<WebSocketReader> {
    const reader = new WebSocketReader(options);
    await reader.#loop.start();
    return reader;
  }

  private constructor(options: WebSocketReaderOptions) {
    this.#options = options;
    this.#after = options.after;
    const { clock, chance } = options;
    this.#loop = new ReadLoop({
      ...{ clock, chance },
      subscribe: () => this.#subscribe(),
      onLost: () => this.#onLost(),
      take: (countMax) => this.#take(countMax),
    });
  }

  next(countMax: number, signal: AbortSignal): Promise<ReceivedMessage[]> {
    return this.#loop.next(countMax, signal);
  }

  async close(): Promise<void> {
    this.#loop.close();
    this.#silence?.cancel();
    await this.#session?.close();
    await this.#loop.ended();
  }

  #take(countMax: number): ReceivedMessage[] {
    const taken = this.#queue.splice(0, countMax);
    const last = taken.at(-1);
    if (last === undefined) return [];
    this.#after = last.id;
    this.#loop.backoff.reset();
    for (const { ticket } of taken) this.#session?.send(acknowledgement(ticket));
    return taken;
  }

  #onLost(): void {
    this.#session = undefined;
    this.#silence?.cancel();
    this.#queue = [];
  }

  async #subscribe(): Promise<WebSocketSession> {
    const { entry, topic, queueMax } = this.#options;
    const after = this.#after;
    const messageId = typeof after === "string" ? after : encodeMessageId(after);
    const asked = `reading ${topic.join("/")} (needs the permission consume)`;
    const place = { asked, path: ["reader", ...topic] };
    const query = { messageId, receiverQueueSize: Math.max(1, queueMax) };
    const onText = (text: string): void => this.#onMessage(text);
    try {
      const session = await entry.open({ ...place, query, onText });
      if (this.#loop.isClosing) await session.close();
      this.#session = session;
      this.#listen();
      return session;
    } catch (error) {
      if (MeshError.is(error, "PULSAR_UNAVAILABLE")) await this.#assertThere();
      throw error;
    }
  }

  /** A reader of a topic that is not there is told 500 and no reason; a consumer is told 404. */
  async #assertThere(): Promise<void> {
    const { entry, topic, chance } = this.#options;
    const look = await entry.open({
      asked: `a look at ${topic.join("/")} (needs the permission consume)`,
      path: ["consumer", ...topic, `fleetmesh-look-${chance.hex64()}`],
      query: { subscriptionMode: "NonDurable" },
      onText: () => undefined,
    });
    await look.close();
  }

  #onMessage(text: string): void {
    const received = parseReceived(text);
    // The server's own reader may begin anew behind its back.
    const last = this.#queue.at(-1)?.id ?? this.#after;
    const isKnown = typeof last !== "string" && compareMessageIds(received.id, last) <= 0;
    if (isKnown) this.#session?.send(acknowledgement(received.ticket));
    else this.#queue.push(received);
    this.#isSilent = false;
    this.#loop.wake();
  }

  /** Nothing is lost by asking anew: the place is ours. */
  #listen(): void {
    const { clock, silenceMsMax } = this.#options;
    this.#isSilent = true;
    this.#silence = clock.setTimer(silenceMsMax, () => {
      if (!this.#isSilent || this.#queue.length > 0) {
        this.#listen();
        return;
      }
      this.#loop.backoff.reset();
      const silent = new MeshError("PULSAR_UNAVAILABLE", "Nothing came for a while");
      void this.#session?.close(silent);
    });
  }
}
