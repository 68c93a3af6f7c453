import { once } from "node:events";
import type { ServerResponse } from "node:http";
import { setImmediate } from "node:timers/promises";
import { encodeStructured, MeshError, sleep, type Clock, type TopicMatcher } from "@fleetmesh/core";
import type { ReadTurns } from "../delivery/read-turns.ts";
import type { EventStore, Page, Position, StoredEvent } from "../store/event-store.ts";
import { encodeStreamCursor } from "./stream-cursor.ts";

export interface StreamTailOptions {
  readonly store: EventStore;
  readonly clock: Clock;
  /** Shared by all tails: how many pages are in the making at once. */
  readonly turns: ReadTurns;
  /** Pattern and permission together. */
  readonly isWanted: TopicMatcher;
  /** Where to go on; topics that are not named came into being later and are read from their beginning. */
  readonly resumeFrom: ReadonlyMap<string, Position> | undefined;
  /** "latest" for what comes from now on, "earliest" for all that is kept. */
  readonly startAt: Position;
  /** The token has expired or was revoked since. */
  readonly isTokenOver: () => boolean;
}

const pageLimit = { countMax: 200, bytesMax: 512 * 1024 };
const heartbeatMs = 15_000;
/** A client that takes nothing for so long is gone. */
const stuckMs = 60_000;
/** Every event carries an id to resume from while the id is short; with many topics only the last of a page. */
const idLengthMax = 400;

/**
 * One live tail: reads the store at the client's own pace, so that a slow client holds one page in memory and simply
 * reads older events than a fast one. At least once over a reconnect, in order within a topic.
 */
export class StreamTail {
  readonly #options: StreamTailOptions;
  readonly #response: ServerResponse;
  readonly #stopping: AbortSignal;
  readonly #positions = new Map<string, Position>();
  readonly #grown = new Set<string>();
  #wake: () => void = () => undefined;

  constructor(options: StreamTailOptions, response: ServerResponse, stopping: AbortSignal) {
    this.#options = options;
    this.#response = response;
    this.#stopping = stopping;
  }

  /** Runs until the client goes, the token expires or the runtime stops. */
  async run(): Promise<void> {
    const { store } = this.#options;
    // Listening first, then looking where the topics are: nothing falls between.
    const forget = store.onAppended((topics) => this.#onAppended(topics));
    const isEnding = (): void => this.#wake();
    this.#response.on("close", isEnding);
    this.#stopping.addEventListener("abort", isEnding, { once: true });
    try {
      await this.#begin();
      while (!this.#isOver()) {
        if (this.#grown.size === 0) await this.#wait();
        else await this.#sendGrown();
      }
    } finally {
      forget();
      this.#stopping.removeEventListener("abort", isEnding);
      this.#response.off("close", isEnding);
      this.#response.end();
    }
  }

  async #begin(): Promise<void> {
    const { store, isWanted, resumeFrom, startAt } = this.#options;
    for (const topic of (await store.topics()).filter(isWanted)) {
      const fresh = startAt === "latest" ? (await store.bounds(topic)).latest : startAt;
      const position = resumeFrom === undefined ? fresh : (resumeFrom.get(topic) ?? "earliest");
      this.#positions.set(topic, position);
      this.#grown.add(topic);
    }
    await this.#write(": connected\n\n");
  }

  #isOver(): boolean {
    const { isTokenOver } = this.#options;
    return this.#stopping.aborted || this.#response.destroyed || isTokenOver();
  }

  #onAppended(topics: readonly string[]): void {
    let isNews = false;
    for (const topic of topics) {
      if (!this.#positions.has(topic)) {
        if (!this.#options.isWanted(topic)) continue;
        this.#positions.set(topic, "earliest");
      }
      this.#grown.add(topic);
      isNews = true;
    }
    if (isNews) this.#wake();
  }

  async #wait(): Promise<void> {
    const waking = new AbortController();
    this.#wake = () => waking.abort();
    if (this.#grown.size > 0 || this.#isOver()) return;
    await sleep(this.#options.clock, heartbeatMs, waking.signal);
    this.#wake = () => undefined;
    if (!waking.signal.aborted) await this.#write(": still here\n\n");
  }

  async #sendGrown(): Promise<void> {
    for (const topic of [...this.#grown]) {
      if (this.#isOver()) return;
      this.#grown.delete(topic);
      const page = await this.#read(topic);
      this.#positions.set(topic, page.next);
      if (page.damaged) this.#grown.add(topic);
      if (page.events.length === 0) continue;
      this.#grown.add(topic);
      await this.#write(this.#encode(page.events));
    }
  }

  /** Where retention was faster than the client, it is told what it missed and goes on. */
  async #read(topic: string): Promise<Page> {
    const after = this.#positions.get(topic) ?? "earliest";
    try {
      return await this.#page(topic, after);
    } catch (error) {
      if (!MeshError.is(error, "POSITION_TRIMMED")) throw error;
      const gap = { code: error.code, topic, after, earliest: error.details["earliest"] };
      await this.#write(`event: gap\ndata: ${JSON.stringify(gap)}\n\n`);
      return this.#page(topic, "earliest");
    }
  }

  /** The event loop goes round before each page: pages that are ready in a row would keep the doors waiting. */
  #page(topic: string, after: Position): Promise<Page> {
    const { store, turns } = this.#options;
    return turns.run(async () => {
      await setImmediate();
      return store.read(topic, after, pageLimit);
    });
  }

  #encode(events: readonly StoredEvent[]): Buffer {
    const parts: Uint8Array[] = [];
    const before = new Map(this.#positions);
    for (const [at, { topic, position, entry }] of events.entries()) {
      before.set(topic, position);
      const isLast = at === events.length - 1;
      const id = isLast || before.size <= 8 ? encodeStreamCursor(before) : "";
      const isTold = isLast || (id !== "" && id.length <= idLengthMax);
      parts.push(
        Buffer.from(isTold ? `id: ${id}\n` : ""),
        ...dataLines(encodeStructured(entry.event)),
      );
    }
    return Buffer.concat(parts);
  }

  async #write(text: string | Buffer): Promise<void> {
    if (this.#response.destroyed || this.#response.write(text)) return;
    const stuck = new AbortController();
    const timer = this.#options.clock.setTimer(stuckMs, () => stuck.abort());
    const onClose = (): void => stuck.abort();
    this.#response.once("close", onClose);
    this.#stopping.addEventListener("abort", onClose, { once: true });
    try {
      await once(this.#response, "drain", { signal: stuck.signal });
    } catch {
      this.#response.destroy();
    } finally {
      timer.cancel();
      this.#response.off("close", onClose);
      this.#stopping.removeEventListener("abort", onClose);
    }
  }
}

const dataField = Buffer.from("data: ");
const blankLine = Buffer.from("\n\n");
const lineFeed = 0x0a;
const carriageReturn = 0x0d;

/** One event as SSE. Its bytes are copied as they are; line breaks in JSON are white space only, and SSE joins the lines again. */
function dataLines(bytes: Uint8Array): Uint8Array[] {
  if (!bytes.includes(lineFeed) && !bytes.includes(carriageReturn))
    return [dataField, bytes, blankLine];
  const lines = Buffer.from(bytes)
    .toString("utf8")
    .split(/\r\n|\n|\r/);
  return [Buffer.from(lines.map((line) => `data: ${line}\n`).join("") + "\n")];
}
