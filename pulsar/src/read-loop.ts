import { Backoff, MeshError, sleep, type Chance, type Clock } from "@fleetmesh/core";
import { Deferred } from "./binary/deferred.ts";
import type { ReceivedMessage } from "./pulsar-client.ts";

interface ReadSession {
  readonly lost: Promise<MeshError>;
}

export interface ReadLoopOptions {
  /** Opens a session behind the last message that was given out. */
  readonly subscribe: () => Promise<ReadSession>;
  /** The session is lost: what waits comes again. */
  readonly onLost: () => void;
  /** What waits; an empty list when nothing does. */
  readonly take: (countMax: number) => ReceivedMessage[];
  readonly clock: Clock;
  readonly chance: Chance;
}

const retryRange = { initialMs: 100, maxMs: 5_000, floor: 0.5 };

/** What readers of every protocol do alike: wait for messages, and go on with a new session when one is lost. */
export class ReadLoop {
  readonly backoff: Backoff;
  readonly #options: ReadLoopOptions;
  readonly #closing = new AbortController();
  #failure: MeshError | undefined;
  #news = new Deferred<undefined>();
  #running: Promise<void> | undefined;

  constructor(options: ReadLoopOptions) {
    this.#options = options;
    this.backoff = new Backoff(retryRange, options.chance);
  }

  get isClosing(): boolean {
    return this.#closing.signal.aborted;
  }

  /** Throws what keeps the first session from opening. */
  async start(): Promise<void> {
    this.#running = this.#run(await this.#options.subscribe());
  }

  /** See PulsarReader.next. */
  async next(countMax: number, signal: AbortSignal): Promise<ReceivedMessage[]> {
    while (!signal.aborted) {
      if (this.#failure !== undefined) throw this.#failure;
      const messages = this.#options.take(countMax);
      if (messages.length > 0) return messages;
      await this.#whenNews(signal);
    }
    return [];
  }

  /** There may be something to take. */
  wake(): void {
    this.#news.resolve(undefined);
  }

  /** No session is opened any more; `next` throws STOPPING. */
  close(): void {
    this.#closing.abort();
    this.#fail(new MeshError("STOPPING", "The reader is closed"));
  }

  /** Resolves once the last session is lost. */
  async ended(): Promise<void> {
    await this.#running;
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

  async #run(first: ReadSession): Promise<void> {
    let session: ReadSession | undefined = first;
    while (session !== undefined) {
      await session.lost;
      this.#options.onLost();
      session = await this.#resubscribe();
    }
  }

  async #resubscribe(): Promise<ReadSession | undefined> {
    const { signal } = this.#closing;
    for (;;) {
      await sleep(this.#options.clock, this.backoff.next(), signal);
      if (signal.aborted) return undefined;
      try {
        return await this.#options.subscribe();
      } catch (error) {
        const reason = MeshError.from(error);
        if (reason.retryable && reason.kind !== "STOPPING") continue;
        this.#fail(reason);
        return undefined;
      }
    }
  }

  #fail(reason: MeshError): void {
    this.#failure ??= reason;
    this.wake();
  }
}
