import { MeshError, type Clock, type Logger } from "@fleetmesh/core";
import { newestStoredMs, RetentionClock } from "../shared/retention-clock.ts";
import { trimEveryMs, type RetentionOf } from "../shared/retention.ts";
import { WatchList } from "../shared/watch-list.ts";
import { GroupQueue, type GroupLimits } from "./group-queue.ts";
import type { StoreOp, StoreResult, TrimOp } from "./store-op.ts";
import type { QuestionName, StoreQuestions } from "./store-question.ts";
import { TailCache } from "./tail-cache.ts";
import type { ThreadLink } from "./thread-link.ts";
import type { ApplyAnswer, OpenAnswer } from "./thread-message.ts";
import { TopicEndsTable } from "./topic-ends.ts";

export interface StoreEngineOptions extends GroupLimits {
  readonly region: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly retention: RetentionOf;
  readonly tailBytesMax: number;
}

/** What events and deliveries share: the two threads, the group commit, the topics' ends and the tail. */
export class StoreEngine {
  readonly options: StoreEngineOptions;
  readonly ends = new TopicEndsTable();
  readonly tail: TailCache;
  readonly watchers: WatchList;
  readonly #writer: ThreadLink;
  readonly #reader: ThreadLink;
  readonly #queue: GroupQueue;
  #starting: Promise<void> | undefined;
  #stopping: Promise<void> | undefined;
  #newestMs: number | undefined;
  #keeping: { stop(): Promise<void> } | undefined;

  constructor(threads: { writer: ThreadLink; reader: ThreadLink }, options: StoreEngineOptions) {
    this.options = options;
    this.#writer = threads.writer;
    this.#reader = threads.reader;
    this.tail = new TailCache(options.tailBytesMax);
    this.#queue = new GroupQueue(options, (ops) => this.#apply(ops));
    this.watchers = new WatchList((error) =>
      options.logger.error({ err: error }, "A listener of the store failed."),
    );
  }

  start(): Promise<void> {
    this.#starting ??= this.#start();
    return this.#starting;
  }

  stop(deadline: AbortSignal): Promise<void> {
    this.#stopping ??= this.#stop(deadline).finally(() => {
      this.#starting = undefined;
      this.#stopping = undefined;
    });
    return this.#stopping;
  }

  submit(op: StoreOp, bytes: number): Promise<StoreResult> {
    return this.#queue.submit(op, bytes);
  }

  /** What the reader thread knows; the name decides the answer's type. */
  async ask<Name extends QuestionName>(
    name: Name,
    ask: StoreQuestions[Name]["ask"],
  ): Promise<StoreQuestions[Name]["answer"]> {
    this.#queue.assertOpen();
    return (await this.#reader.ask({ kind: "ask", name, ask })) as StoreQuestions[Name]["answer"];
  }

  assertOpen(): void {
    this.#queue.assertOpen();
  }

  /** One round of retention over all topics, in steps between which appends go on, then of what else grows. */
  async trim(nowMs: number): Promise<void> {
    for (const topic of this.ends.names()) {
      const { retentionMs, retentionBytes } = this.options.retention(topic);
      const beforeMs = nowMs - retentionMs;
      await this.#trimAll({ kind: "trim", topic, beforeMs, bytesMax: retentionBytes });
    }
    await this.submit({ kind: "tidy", nowMs }, 64);
  }

  /** Everything up to the ordinal goes. */
  trimThrough(topic: string, through: number): Promise<void> {
    const nothingElse = { beforeMs: -Infinity, bytesMax: Infinity };
    return this.#trimAll({ kind: "trim", topic, ...nothingElse, through });
  }

  async #trimAll(op: TrimOp): Promise<void> {
    for (let hasMore = true; hasMore;) {
      const result = await this.submit(op, 64);
      if (result.kind !== "trimmed") throw new MeshError("INTERNAL", "Trimming gave no answer");
      this.ends.trim(op.topic, result.trimmed);
      hasMore = result.hasMore;
    }
  }

  async #start(): Promise<void> {
    try {
      await this.#open();
      this.#queue.open();
      this.#keeping = this.#keepTrimming();
    } catch (error) {
      this.#starting = undefined;
      await this.#writer.stop();
      throw error;
    }
  }

  async #open(): Promise<void> {
    const opened = (await this.#writer.ask({ kind: "open" })) as OpenAnswer;
    this.ends.load(opened.topics);
    this.#newestMs = newestStoredMs(opened.topics);
    this.tail.clear();
    if (opened.quarantined !== undefined)
      this.options.logger.error(
        { file: opened.quarantined },
        "The store's file was damaged and is put aside: the region goes on with an empty store.",
      );
  }

  async #apply(ops: readonly StoreOp[]): Promise<ApplyAnswer> {
    // After a thread that died, what the file holds may be more than what was answered.
    if (!this.#writer.isUp) await this.#open();
    const nowMs = this.options.clock.wallMs();
    const transfer = ops.flatMap(buffersOf);
    return (await this.#writer.ask({ kind: "apply", ops, nowMs }, transfer)) as ApplyAnswer;
  }

  async #stop(deadline: AbortSignal): Promise<void> {
    await this.#starting?.catch(() => undefined);
    await this.#keeping?.stop();
    this.#keeping = undefined;
    const kill = (): void => {
      this.#writer.kill().catch(() => undefined);
    };
    if (deadline.aborted) kill();
    deadline.addEventListener("abort", kill, { once: true });
    await this.#queue.close();
    await this.#reader.stop();
    await this.#writer.stop();
    deadline.removeEventListener("abort", kill);
    this.tail.clear();
  }

  #keepTrimming(): { stop(): Promise<void> } {
    const { clock, logger } = this.options;
    const time = new RetentionClock(clock, this.#newestMs);
    let round = Promise.resolve();
    let isStopped = false;
    const tick = (): void => {
      if (isStopped) return;
      round = this.trim(time.nowMs()).catch((error: unknown) => {
        if (!isStopped)
          logger.warn({ err: error }, "Retention could not run; it will be tried again.");
      });
      timer = clock.setTimer(trimEveryMs, tick);
    };
    let timer = clock.setTimer(trimEveryMs, tick);
    const stop = async (): Promise<void> => {
      isStopped = true;
      timer.cancel();
      await round;
    };
    return { stop };
  }
}

/** The blocks move to the writer's thread instead of being copied: the main thread has the events as they came. */
function buffersOf(op: StoreOp): ArrayBuffer[] {
  if (op.kind === "agent") return op.blocks.map(({ bytes }) => bytes.buffer);
  if (op.kind === "direct") return [op.block.bytes.buffer];
  if (op.kind === "replicated" && op.block) return [op.block.bytes.buffer];
  return [];
}
