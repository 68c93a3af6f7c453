import { Backoff, MeshError, sleep, type Chance, type Clock, type Timer } from "@fleetmesh/core";
import { Deferred } from "../binary/deferred.ts";
import { compareMessageIds, type MessageId } from "../message-id.ts";
import type { PulsarReader, ReaderOptions, ReceivedMessage } from "../pulsar-client.ts";
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

const retryRange = { initialMs: 100, maxMs: 5_000, floor: 0.5 };

/**
 * A reader over the WebSocket API. The place is ours: after a lost connection a new reader starts behind the last message that was
 * given out. See PulsarReader for what is promised.
 */
export class WebSocketReader implements PulsarReader {
  readonly #options: WebSocketReaderOptions;
  readonly #closing = new AbortController();
  readonly #backoff: Backoff;
  #after: ReaderOptions["after"];
  #queue: SocketReceived[] = [];
  #session: WebSocketSession | undefined;
  #failure: MeshError | undefined;
  #news = new Deferred<undefined>();
  #silence: Timer | undefined;
  #isSilent = true;
  #loop: Promise<void> | undefined;

  /** Errors: PULSAR_UNAVAILABLE, PULSAR_DENIED, TOPIC_UNKNOWN. */
  static async open(options: WebSocketReaderOptions): Promise<WebSocketReader> {
    const reader = new WebSocketReader(options);
    reader.#loop = reader.#run(await reader.#subscribe());
    return reader;
  }

  private constructor(options: WebSocketReaderOptions) {
    this.#options = options;
    this.#after = options.after;
    this.#backoff = new Backoff(retryRange, options.chance);
  }

  async next(countMax: number, signal: AbortSignal): Promise<ReceivedMessage[]> {
    while (!signal.aborted) {
      if (this.#failure !== undefined) throw this.#failure;
      const messages = this.#take(countMax);
      if (messages.length > 0) return messages;
      await this.#whenNews(signal);
    }
    return [];
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#fail(new MeshError("STOPPING", "The reader is closed"));
    await this.#session?.close();
    await this.#loop;
  }

  #take(countMax: number): ReceivedMessage[] {
    const taken = this.#queue.splice(0, countMax);
    const last = taken.at(-1);
    if (last === undefined) return [];
    this.#after = last.id;
    this.#backoff.reset();
    for (const { ticket } of taken) this.#session?.send(acknowledgement(ticket));
    return taken;
  }

  async #whenNews(signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    const news = this.#news;
    const wake = (): void => news.resolve(undefined);
    signal.addEventListener("abort", wake, { once: true });
    await news.promise;
    signal.removeEventListener("abort", wake);
    if (this.#news === news) this.#news = new Deferred();
  }

  async #run(first: WebSocketSession): Promise<void> {
    let session: WebSocketSession | undefined = first;
    while (session !== undefined) {
      await session.lost;
      // What waits comes again: the new reader starts behind what was given out.
      this.#session = undefined;
      this.#silence?.cancel();
      this.#queue = [];
      session = await this.#resubscribe();
    }
  }

  async #resubscribe(): Promise<WebSocketSession | undefined> {
    const { signal } = this.#closing;
    for (;;) {
      await sleep(this.#options.clock, this.#backoff.next(), signal);
      if (signal.aborted) return undefined;
      try {
        return await this.#subscribe();
      } catch (error) {
        const reason = MeshError.from(error);
        if (reason.retryable) continue;
        this.#fail(reason);
        return undefined;
      }
    }
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
      if (this.#closing.signal.aborted) await session.close();
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
    this.#news.resolve(undefined);
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
      this.#backoff.reset();
      const silent = new MeshError("PULSAR_UNAVAILABLE", "Nothing came for a while");
      void this.#session?.close(silent);
    });
  }

  #fail(reason: MeshError): void {
    this.#failure ??= reason;
    this.#silence?.cancel();
    this.#news.resolve(undefined);
  }
}
