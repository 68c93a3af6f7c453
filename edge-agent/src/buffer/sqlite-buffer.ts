import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import {
  classRank,
  errorFromData,
  eventClasses,
  MeshError,
  threadEntry,
  type ClassWatermark,
  type EventClass,
  type Segment,
} from "@fleetmesh/core";
import { AppendGroup, AppendGroups, type WaitingAppend } from "./append-groups.ts";
import type { AppendItem, BufferStats, BufferTopics, EventBuffer, ReadRequest } from "./buffer.ts";
import {
  ackDelayMsDefault,
  groupLimitsDefault,
  reserveBytesDefault,
  type SqliteBufferOptions,
} from "./buffer-options.ts";
import type {
  AppendUnit,
  BufferReply,
  BufferRequest,
  BufferThreadSettings,
  ReadPiece,
} from "./buffer-messages.ts";
import { GroupEncoder } from "./group-encoder.ts";
import { segmentsOf } from "./read-pieces.ts";
import { RepeatFilter } from "./repeat-filter.ts";
import { ThreadCalls } from "./thread-calls.ts";

type State = "new" | "open" | "stopping" | "stopped";

/** Why a buffer serves no more: its file is damaged, or its thread is gone and the file may be good. */
export interface BufferLoss {
  readonly kind: "file" | "thread";
  readonly reason: string;
}

/** The file's name within the buffer's folder. */
export const bufferFileName = "buffer.db";

/**
 * The buffer on a disk. This side encodes and decodes; a thread of its own holds the file and waits for fsync. While one
 * commit runs, the appends that arrive gather for the next: many small appends share one fsync, and nobody waits longer
 * than two commits.
 */
export class SqliteBuffer implements EventBuffer {
  readonly name = "sqlite-buffer";
  readonly agentId: string;
  readonly #options: SqliteBufferOptions;
  readonly #groups: AppendGroups;
  readonly #repeats: RepeatFilter;
  readonly #listeners: ((classes: readonly EventClass[]) => void)[] = [];
  readonly #lossListeners: ((loss: BufferLoss) => void)[] = [];
  #state: State = "new";
  #epoch = "";
  #calls: ThreadCalls<BufferRequest> | undefined;
  #unavailable: string | undefined;
  #isCommitting = false;
  #idle: (() => void) | undefined;
  /** The last corrected time a reader gave and when, to know what has expired while nobody reads. */
  #corrected: { readonly nowMs: number; readonly atMs: number } | undefined;

  constructor(options: SqliteBufferOptions) {
    this.#options = options;
    this.agentId = options.agentId;
    this.#groups = new AppendGroups({ ...groupLimitsDefault, ...options.group });
    this.#repeats = new RepeatFilter(options);
  }

  get epoch(): string {
    return this.#epoch;
  }

  get file(): string {
    return join(this.#options.directory, bufferFileName);
  }

  async start(): Promise<void> {
    if (this.#state === "open") return;
    try {
      // What a vehicle does is nobody else's business on the gateway.
      mkdirSync(this.#options.directory, { recursive: true, mode: 0o700 });
    } catch (cause) {
      const text = `The folder ${this.#options.directory} cannot be made`;
      throw new MeshError("BUFFER_UNAVAILABLE", text, { cause });
    }
    this.#epoch = await this.#openThread();
    this.#state = "open";
  }

  async stop(deadline: AbortSignal): Promise<void> {
    const calls = this.#calls;
    if (!calls || this.#state !== "open") return;
    this.#state = "stopping";
    await this.#drained(deadline);
    calls.call((id) => ({ kind: "stop", id })).catch(() => undefined);
    await calls.end(deadline);
    this.#state = "stopped";
  }

  append(items: readonly AppendItem[]): Promise<void> {
    if (this.#state !== "open") return Promise.reject(stopping());
    if (items.length === 0) return Promise.resolve();
    return this.#repeats.admit(items, (append) => this.#take(append));
  }

  /** Identities of the last durable events, oldest first: what another buffer of the agent takes over. */
  identities(): Uint32Array {
    return this.#repeats.identities();
  }

  /** Takes over what an earlier buffer of the agent remembers. It is known at once, and durable with the next append. */
  remember(identities: Uint32Array): void {
    if (identities.length === 0) return;
    this.#repeats.remember(identities);
    // A disk that refuses it has said so already; the events of this process's life are known all the same.
    this.#running()
      .call((id) => ({ kind: "remember", id, identities }))
      .catch(() => undefined);
  }

  async read(request: ReadRequest): Promise<Segment[]> {
    const { eventClass, after, countMax, bytesMax, nowMs } = request;
    if (nowMs !== undefined) this.#corrected = { nowMs, atMs: this.#options.clock.monotonicMs() };
    const query = { rank: classRank(eventClass), after, countMax, bytesMax, nowMs };
    const calls = this.#running();
    const pieces = await calls.call((id) => ({ kind: "read", id, query }));
    const ttlMs = this.#options.limits.ttlMs?.[eventClass];
    try {
      return segmentsOf(pieces as ReadPiece[], { request, epoch: this.#epoch, ttlMs });
    } catch (cause) {
      if (!MeshError.is(cause, "BLOCK_DAMAGED")) throw cause;
      this.#lost({ kind: "file", reason: cause.message });
      throw new MeshError("BUFFER_DAMAGED", cause.message, { cause });
    }
  }

  async acknowledge(given: Readonly<Partial<Record<EventClass, ClassWatermark>>>): Promise<void> {
    const watermarks: [number, ClassWatermark][] = [];
    for (const eventClass of eventClasses) {
      const watermark = given[eventClass];
      if (watermark) watermarks.push([classRank(eventClass), watermark]);
    }
    await this.#running().call((id) => ({ kind: "acknowledge", id, watermarks }));
  }

  async stats(): Promise<BufferStats> {
    const stats = await this.#running().call((id) => ({ kind: "stats", id }));
    return { ...(stats as Omit<BufferStats, "unavailable">), unavailable: this.#unavailable };
  }

  async topics(): Promise<BufferTopics> {
    return (await this.#running().call((id) => ({ kind: "topics", id }))) as BufferTopics;
  }

  onAppended(listener: (classes: readonly EventClass[]) => void): void {
    this.#listeners.push(listener);
  }

  /** Calls back once when the file turns out damaged, or its thread is lost: this buffer then serves no more. */
  onLost(listener: (loss: BufferLoss) => void): void {
    this.#lossListeners.push(listener);
  }

  #openThread(): Promise<string> {
    const worker = new Worker(threadEntry(import.meta.url, "sqlite-buffer-thread"), {
      workerData: this.#settings(),
      // The thread runs compiled code whatever conditions this process resolves its modules by.
      execArgv: [],
      // A thread of statements and short-lived bodies: a small heap is collected early, so that memory stays flat.
      resourceLimits: { maxYoungGenerationSizeMb: 4, maxOldGenerationSizeMb: 128 },
    });
    const calls = new ThreadCalls<BufferRequest>(worker);
    this.#calls = calls;
    return new Promise((resolve, reject) => {
      worker.on("message", (reply: BufferReply) => {
        if (reply.kind === "opened") {
          this.#repeats.remember(reply.repeats);
          resolve(reply.epoch);
        } else if (reply.kind === "start-failed") reject(errorFromData(reply.error));
        else this.#heard(calls, reply);
      });
      const lost = (cause: unknown): void => {
        const error = new MeshError("BUFFER_UNAVAILABLE", "The buffer's thread has ended", {
          cause,
        });
        reject(error);
        calls.lose(this.#state === "open" ? error : stopping());
        if (this.#state === "open")
          this.#lost({ kind: "thread", reason: `The buffer's thread has ended: ${String(cause)}` });
      };
      worker.on("error", lost);
      worker.on("exit", (code) => lost(`exit code ${code}`));
    });
  }

  #settings(): BufferThreadSettings {
    const { agentId, limits, chance, ackDelayMs, reserveBytes, durability } = this.#options;
    const { isPlaceChecked } = this.#options;
    return {
      file: this.file,
      agentId,
      epoch: chance.hex64(),
      limits,
      ackDelayMs: ackDelayMs ?? ackDelayMsDefault,
      reserveBytes: reserveBytes ?? reserveBytesDefault,
      durability: durability ?? "full",
      isPlaceChecked: isPlaceChecked ?? false,
    };
  }

  #heard(calls: ThreadCalls<BufferRequest>, reply: BufferReply): void {
    switch (reply.kind) {
      case "done":
        calls.done(reply.id, reply.value);
        break;
      case "failed":
        calls.failed(reply.id, reply.error);
        break;
      case "unavailable":
        this.#disk(reply.reason);
        break;
      case "damaged":
        this.#lost({ kind: "file", reason: reply.reason });
        break;
      case "opened":
      case "start-failed":
        break;
    }
  }

  #disk(reason: string | undefined): void {
    this.#unavailable = reason;
    const { logger } = this.#options;
    if (reason === undefined) logger.info("The buffer's disk takes writes again.");
    else logger.error({ reason }, "The buffer's disk refuses writes.");
  }

  #lost(loss: BufferLoss): void {
    for (const listener of this.#lossListeners.splice(0)) listener(loss);
  }

  #running(): ThreadCalls<BufferRequest> {
    if (!this.#calls || this.#state !== "open") throw stopping();
    return this.#calls;
  }

  #take(append: WaitingAppend): void {
    const refusal = this.#refusal();
    if (refusal) {
      append.reject(refusal);
      return;
    }
    try {
      this.#groups.add(append);
    } catch (error) {
      append.reject(error);
      return;
    }
    this.#schedule();
  }

  #refusal(): MeshError | undefined {
    if (this.#state !== "open") return stopping();
    if (this.#unavailable !== undefined)
      return new MeshError("BUFFER_UNAVAILABLE", this.#unavailable, { retryAfterSeconds: 1 });
    if (!this.#groups.isFull) return undefined;
    const text = "More waits for the buffer's disk than it can write";
    return new MeshError("BUFFER_FULL", text, { retryAfterSeconds: 1 });
  }

  /** Starts a commit at the end of this turn of the event loop, so that what one read of a socket brings shares it. */
  #schedule(): void {
    if (this.#isCommitting) return;
    this.#isCommitting = true;
    setImmediate(() => void this.#commitAll());
  }

  async #commitAll(): Promise<void> {
    for (let group = this.#groups.take(); group; group = this.#groups.take())
      await this.#commit(group);
    this.#isCommitting = false;
    this.#idle?.();
  }

  /** Never throws: every append of the group is told how it went. */
  async #commit(group: AppendGroup): Promise<void> {
    try {
      const unit = group.encoder.finish();
      this.#groups.reuse(group.encoder);
      const [isStored] = await this.#send([unit], [group.identities()]);
      if (isStored) {
        group.settle();
        this.#grown(group.classes());
      } else if (group.appends.length === 1) group.settle(this.#full());
      else await this.#commitEach(group);
    } catch (error) {
      group.settle(error);
    }
  }

  /** The group as a whole has no room: each append for itself, in one commit. */
  async #commitEach(group: AppendGroup): Promise<void> {
    const units = group.appends.map(({ items }) => {
      const encoder = new GroupEncoder();
      encoder.add(items);
      return encoder.finish();
    });
    const repeats = group.appends.map(({ identities }) => identities);
    const outcomes = await this.#send(units, repeats);
    const stored = new AppendGroup();
    for (const [index, append] of group.appends.entries()) {
      if (outcomes[index]) stored.appends.push(append);
      else append.reject(this.#full());
    }
    stored.settle();
    if (stored.appends.length > 0) this.#grown(stored.classes());
  }

  async #send(
    units: readonly AppendUnit[],
    repeats: readonly Uint32Array[],
  ): Promise<readonly boolean[]> {
    const calls = this.#calls;
    if (!calls) throw stopping();
    const nowMs = this.#nowMs();
    const transfer: ArrayBuffer[] = [];
    for (const unit of units) for (const { body } of unit) transfer.push(body.buffer);
    const outcomes = await calls.call(
      (id) => ({ kind: "append", id, units, repeats, nowMs }),
      transfer,
    );
    return outcomes as boolean[];
  }

  #nowMs(): number | undefined {
    const known = this.#corrected;
    return known && known.nowMs + this.#options.clock.monotonicMs() - known.atMs;
  }

  #grown(classes: readonly EventClass[]): void {
    for (const listener of this.#listeners) listener(classes);
  }

  #full(): MeshError {
    const { bytesMax, whenFull } = this.#options.limits;
    const why = whenFull === "reject" ? "" : " and nothing in it ranks as low as the newcomer";
    const text = `The buffer is full (${bytesMax} bytes)${why}`;
    return new MeshError("BUFFER_FULL", text, { retryAfterSeconds: 5 });
  }

  /** Resolves when all that was taken is committed, or the deadline has passed: then what waits is refused. */
  #drained(deadline: AbortSignal): Promise<void> {
    if (!this.#isCommitting) return Promise.resolve();
    return new Promise((resolve) => {
      const late = (): void => {
        for (let group = this.#groups.take(); group; group = this.#groups.take())
          group.settle(stopping());
        resolve();
      };
      this.#idle = resolve;
      if (deadline.aborted) late();
      else deadline.addEventListener("abort", late, { once: true });
    });
  }
}

function stopping(): MeshError {
  return new MeshError("STOPPING", "The buffer is not running");
}
