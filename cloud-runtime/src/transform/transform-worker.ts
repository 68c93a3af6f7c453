import { Worker } from "node:worker_threads";
import { threadEntry, type Clock, type Timer } from "@fleetmesh/core/base";
import type {
  BatchOutcome,
  DeathPlace,
  ThreadReply,
  ThreadRequest,
  ThreadStart,
} from "./transform-message.ts";
import type { TransformLimits } from "./transform.ts";

/** Beyond what a rule's own limit cuts off in the thread, which is where most runaways end. */
const watchFactor = 3;
/** For a thread to start and to compile a rule, on a machine with better things to do. */
const startMsMax = 20_000;
const youngMb = 16;
const stackMb = 4;

interface Running {
  readonly settle: (outcome: BatchOutcome) => void;
  timer: Timer | undefined;
  seen: number;
  sinceMs: number;
}

/**
 * One thread for rules, as the process around it has it: started by the first batch, ended when an event takes too long or too much
 * memory, and started again by the next batch. It has one batch at a time.
 */
export class TransformWorker {
  readonly #clock: Clock;
  readonly #limits: TransformLimits;
  readonly #progress = new Int32Array(new SharedArrayBuffer(8));
  #worker: Worker | undefined;
  #running: Running | undefined;
  /** Of the thread's end, when the runtime told it before the exit. */
  #deathWhy: "memory" | "error" = "error";

  constructor(clock: Clock, limits: TransformLimits) {
    this.#clock = clock;
    this.#limits = limits;
  }

  run(request: ThreadRequest): Promise<BatchOutcome> {
    return new Promise((settle) => {
      Atomics.store(this.#progress, 0, 0);
      const sinceMs = this.#clock.monotonicMs();
      this.#running = { settle, timer: undefined, seen: 0, sinceMs };
      const worker = (this.#worker ??= this.#spawn());
      worker.postMessage(request);
      this.#watch(this.#running);
    });
  }

  /** The timer looks whether the batch has come on, not how late it is itself: a stalled process blames no rule. */
  #watch(running: Running): void {
    const watchMs = this.#limits.timeMs * watchFactor;
    running.timer = this.#clock.setTimer(watchMs / 4, () => {
      if (this.#running !== running) return;
      const seen = Atomics.load(this.#progress, 0);
      const nowMs = this.#clock.monotonicMs();
      if (seen !== running.seen) [running.seen, running.sinceMs] = [seen, nowMs];
      if (nowMs - running.sinceMs < (seen === 0 ? startMsMax : watchMs)) this.#watch(running);
      else this.#kill();
    });
  }

  #kill(): void {
    const worker = this.#worker;
    this.#worker = undefined;
    this.#settle({ kind: "died", why: "time", at: this.#deathPlace() });
    void worker?.terminate();
  }

  #deathPlace(): DeathPlace | undefined {
    const [seen, step] = [Atomics.load(this.#progress, 0), Atomics.load(this.#progress, 1)];
    return seen === 0 ? undefined : { event: seen - 1, step };
  }

  #spawn(): Worker {
    const start: ThreadStart = {
      limits: this.#limits,
      progress: this.#progress.buffer,
    };
    const worker = new Worker(threadEntry(import.meta.url, "transform-thread"), {
      workerData: start,
      execArgv: [],
      env: {},
      resourceLimits: {
        maxOldGenerationSizeMb: this.#limits.memoryMb,
        maxYoungGenerationSizeMb: youngMb,
        stackSizeMb: stackMb,
      },
    });
    this.#deathWhy = "error";
    worker.on("message", (reply: ThreadReply) => {
      if (this.#worker === worker) this.#settle({ kind: "answered", reply });
    });
    worker.on("error", (error: Error & { readonly code?: string }) => {
      if (error.code === "ERR_WORKER_OUT_OF_MEMORY") this.#deathWhy = "memory";
    });
    worker.on("exit", () => {
      if (this.#worker !== worker) return;
      this.#worker = undefined;
      this.#settle({ kind: "died", why: this.#deathWhy, at: this.#deathPlace() });
    });
    return worker;
  }

  #settle(outcome: BatchOutcome): void {
    const running = this.#running;
    this.#running = undefined;
    running?.timer?.cancel();
    running?.settle(outcome);
  }
}
