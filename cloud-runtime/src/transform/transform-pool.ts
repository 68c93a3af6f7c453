import {
  BlockReader,
  encodeBlock,
  errorFromData,
  MeshError,
  type Clock,
  type MeshEvent,
  type Timer,
} from "@fleetmesh/core";
import { atStep, stepsOf } from "./compile-transform.ts";
import { RuleQueue, type EventJob, type RuleJob } from "./rule-queue.ts";
import { transformFailed } from "./transform-failed.ts";
import type { EventReply, ThreadReply } from "./transform-message.ts";
import { TransformHost, type HostOutcome } from "./transform-host.ts";
import type { TransformInput, TransformLimits, TransformSpec } from "./transform.ts";

/** One for all rules, and one that those which ran away never get: their harm to others ends with the first time. */
const hostCount = 2;
/** After so long without work the processes end. */
const idleMs = 60_000;
const deathReasons = {
  time: "The rule takes too long",
  memory: "The rule takes too much memory",
  error: "The rule ended its process",
};

/**
 * Runs rules in a few processes. Each rule waits in a queue of its own and has one batch at work at a time, in turns.
 * Guarantees: a rule that runs away, by time or memory, costs its own event and nobody else's; an event that was at work when
 * its thread or process died is tried once more alone, since it may have been the machine that stood still. Nothing is started before the first
 * event.
 */
export class TransformPool {
  readonly #clock: Clock;
  readonly #hosts: readonly TransformHost[];
  #ready: RuleQueue[] = [];
  #idleTimer: Timer | undefined;
  #isStopped = false;
  #checkCount = 0;

  constructor(clock: Clock, limits: TransformLimits) {
    this.#clock = clock;
    this.#hosts = Array.from({ length: hostCount }, (_, at) => new TransformHost(limits, at === 0));
  }

  /** What the event becomes. The caller bounds how many of a queue wait. Rejects with TRANSFORM_FAILED, SUBSCRIPTION_INVALID for a rule that cannot be compiled, or STOPPING. */
  run(queue: RuleQueue, input: TransformInput): Promise<readonly MeshEvent[]> {
    return new Promise((resolve, reject) => {
      this.#admit(queue, { kind: "event", input, resolve, reject, isSecondTry: false });
    });
  }

  /** Rejects with SUBSCRIPTION_INVALID naming the place when the rule cannot be compiled. */
  check(spec: TransformSpec): Promise<void> {
    return new Promise((resolve, reject) => {
      const queue = new RuleQueue(`check ${++this.#checkCount}`, spec);
      queue.distrust();
      this.#admit(queue, { kind: "check", resolve, reject });
    });
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#idleTimer?.cancel();
    const queues = this.#ready;
    this.#ready = [];
    for (const queue of queues) queue.failAll(stopping());
    await Promise.all(this.#hosts.map((host) => host.stop()));
  }

  #admit(queue: RuleQueue, job: RuleJob): void {
    if (this.#isStopped) {
      job.reject(stopping());
      return;
    }
    this.#idleTimer?.cancel();
    this.#idleTimer = undefined;
    queue.push(job);
    if (queue.begins()) this.#ready.push(queue);
    // On a later turn: what comes along with it goes in the same batch.
    queueMicrotask(() => this.#dispatch());
  }

  #dispatch(): void {
    for (const host of this.#hosts) {
      if (host.isBusy || this.#isStopped) continue;
      const at = this.#ready.findIndex((queue) => !(host.isQuickOnly && queue.isSuspect));
      const [queue] = at < 0 ? [] : this.#ready.splice(at, 1);
      if (queue) void this.#work(host, queue);
    }
    if (!this.#hosts.some((host) => host.isBusy)) this.#idle();
  }

  #idle(): void {
    this.#idleTimer ??= this.#clock.setTimer(idleMs, () => {
      this.#idleTimer = undefined;
      for (const host of this.#hosts) if (!host.isBusy) void host.stop();
    });
  }

  async #work(host: TransformHost, queue: RuleQueue): Promise<void> {
    const batch = queue.takeBatch();
    const inputs = batch.flatMap((job) => (job.kind === "event" ? [job.input] : []));
    const entries = inputs.map(({ event, nowMs }) => ({
      ...{ topic: "", sequence: 0 },
      ...{ receivedMs: nowMs, event },
    }));
    const { name: rule, spec } = queue;
    const outcome = await host.run({ rule, spec, block: encodeBlock(entries) });
    this.#conclude(queue, batch, outcome);
    if (queue.ended()) this.#ready.push(queue);
    this.#dispatch();
  }

  #conclude(queue: RuleQueue, batch: readonly RuleJob[], outcome: HostOutcome): void {
    if (this.#isStopped) {
      for (const job of batch) job.reject(stopping());
      queue.failAll(stopping());
    } else if (outcome.kind === "notStarted") {
      queue.notStarted(batch);
    } else if (outcome.kind === "crashed") {
      queue.crashed(batch, transformFailed("memory", deathReasons.memory));
    } else if (outcome.kind === "died") {
      const failure = transformFailed(outcome.why, deathReasons[outcome.why]);
      const { spec } = queue;
      const step = outcome.at && stepsOf(spec)[outcome.at.step - 1];
      const told = outcome.at && step ? atStep(failure, outcome.at.step - 1, step.kind) : failure;
      queue.died(batch, outcome.at?.event, told);
    } else {
      answer(queue, batch, outcome.reply);
    }
  }
}

function answer(queue: RuleQueue, batch: readonly RuleJob[], reply: ThreadReply): void {
  if ("invalid" in reply) {
    const error = errorFromData(reply.invalid);
    for (const job of batch) job.reject(error);
    return;
  }
  const made = new BlockReader(reply.block);
  const again: RuleJob[] = [];
  let [at, next] = [0, 0];
  for (const job of batch) {
    if (job.kind === "check") {
      job.resolve();
      continue;
    }
    const answered = reply.events[at++];
    const first = next;
    next += answered?.count ?? 0;
    const retried = answered ? settle(queue, job, answered) : job;
    if (retried) again.push(retried);
    else if (answered?.error === undefined)
      job.resolve(
        Array.from({ length: next - first }, (_, each) => made.entry(first + each).event),
      );
  }
  queue.putBack(again);
}

/** Counts it and tells a failure; the job, when it is to be tried again. */
function settle(
  queue: RuleQueue,
  job: EventJob,
  { durationMs, error }: EventReply,
): EventJob | undefined {
  queue.worked(durationMs);
  if (!error) return undefined;
  const failure = errorFromData(error);
  if (queue.deservesAnother(job, failure)) return { ...job, isSecondTry: true };
  job.reject(failure);
  return undefined;
}

function stopping(): MeshError {
  return new MeshError("STOPPING", "The rules are being stopped");
}
