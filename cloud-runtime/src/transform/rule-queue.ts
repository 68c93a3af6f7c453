import { MeshError, type MeshEvent } from "@fleetmesh/core";
import { whyOf } from "./transform-failed.ts";
import type { TransformInput, TransformSpec } from "./transform.ts";

export interface EventJob {
  readonly kind: "event";
  readonly input: TransformInput;
  readonly resolve: (events: readonly MeshEvent[]) => void;
  readonly reject: (error: MeshError) => void;
  /** It was at work when its thread died, or ran out of time, and goes alone now. */
  readonly isSecondTry: boolean;
}

interface CheckJob {
  readonly kind: "check";
  readonly resolve: () => void;
  readonly reject: (error: MeshError) => void;
}

export type RuleJob = EventJob | CheckJob;

const batchMax = 32;
const batchBytesMax = 1024 * 1024;
/** An event that took longer makes its rule wait behind the others. */
const slowMs = 100;
/** So many quick events in a row make a rule one of the others again. */
const quickRunMax = 200;
const startFailuresMax = 3;

/** The events that wait for one rule, and what the rule is known for. */
export class RuleQueue {
  readonly name: string;
  readonly spec: TransformSpec;
  readonly #observe: (durationMs: number) => void;
  #waiting: RuleJob[] = [];
  #state: "idle" | "ready" | "running" = "idle";
  #quickLeft = 0;
  /** Events in a row that ran away. */
  #runaways = 0;
  #startFailures = 0;

  constructor(name: string, spec: TransformSpec, observe: (durationMs: number) => void = () => {}) {
    this.name = name;
    this.spec = spec;
    this.#observe = observe;
  }

  get isSuspect(): boolean {
    return this.#quickLeft > 0;
  }

  /** True when it had nothing to do until now: the caller puts it among those that are ready. */
  begins(): boolean {
    if (this.#state !== "idle") return false;
    this.#state = "ready";
    return true;
  }

  /** Nobody knows yet what its rule does. */
  distrust(): void {
    this.#quickLeft = quickRunMax;
  }

  push(job: RuleJob): void {
    this.#waiting.push(job);
  }

  putBack(jobs: readonly RuleJob[]): void {
    if (jobs.length > 0) this.#waiting = [...jobs, ...this.#waiting];
  }

  failAll(error: MeshError): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const job of waiting) job.reject(error);
  }

  /** The next ones; who is tried again goes alone. */
  takeBatch(): RuleJob[] {
    this.#state = "running";
    let bytes = 0;
    let count = 0;
    for (const job of this.#waiting) {
      const isAlone = job.kind === "check" || job.isSecondTry;
      if (isAlone && count > 0) break;
      count += 1;
      bytes += job.kind === "event" ? (job.input.event.data?.length ?? 0) : 0;
      if (isAlone || count >= batchMax || bytes > batchBytesMax) break;
    }
    return this.#waiting.splice(0, count);
  }

  /** The batch is over. True when there is more: the queue goes behind the others that are ready. */
  ended(): boolean {
    this.#state = this.#waiting.length > 0 ? "ready" : "idle";
    return this.#state === "ready";
  }

  worked(durationMs: number): void {
    this.#observe(durationMs);
    this.#startFailures = 0;
    if (durationMs > slowMs) {
      this.#quickLeft = quickRunMax;
    } else {
      this.#runaways = 0;
      this.#quickLeft = Math.max(0, this.#quickLeft - 1);
    }
  }

  /** The first time that a rule which was quick so far runs out of time, it may be the machine that stood still. */
  deservesAnother(job: EventJob, failure: MeshError): boolean {
    if (whyOf(failure) !== "time") return false;
    this.#quickLeft = quickRunMax;
    this.#runaways += 1;
    return !job.isSecondTry && this.#runaways === 1;
  }

  /** No event was at work: nobody is to blame. */
  notStarted(batch: readonly RuleJob[]): void {
    this.#quickLeft = quickRunMax;
    this.#startFailures += 1;
    if (this.#startFailures < startFailuresMax) this.putBack(batch);
    else for (const job of batch) job.reject(notStarted());
  }

  /** The whole process went, at one of these: they go again each alone, until it shows at which. */
  crashed(batch: readonly RuleJob[], failure: MeshError): void {
    if (batch.length === 1) {
      this.died(batch, 0, failure);
      return;
    }
    this.#quickLeft = quickRunMax;
    this.putBack(batch.map((job) => (job.kind === "event" ? { ...job, isSecondTry: true } : job)));
  }

  /** The thread died while the batch's event `at` was at work: it alone is to blame, and the others go again. */
  died(batch: readonly RuleJob[], at: number | undefined, failure: MeshError): void {
    this.#quickLeft = quickRunMax;
    if (at === undefined) {
      this.notStarted(batch);
      return;
    }
    this.#runaways += 1;
    const again = batch.flatMap((job, index): RuleJob[] => {
      if (index !== at || job.kind === "check") return [job];
      if (!job.isSecondTry && this.#runaways === 1) return [{ ...job, isSecondTry: true }];
      job.reject(failure);
      return [];
    });
    this.putBack(again);
  }
}

/** No fault of the event: it may be tried again. */
function notStarted(): MeshError {
  return new MeshError("INTERNAL", "The process for the rule does not start");
}
