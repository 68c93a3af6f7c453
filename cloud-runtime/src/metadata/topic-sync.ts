import { MeshError, sleep, type Clock, type Logger, type Part } from "@fleetmesh/core";
import type { PulsarAdmin, TopicPolicy } from "@fleetmesh/pulsar";
import type { Metadata, TopicSpec } from "./metadata.ts";

export interface TopicSyncOptions {
  readonly metadata: Pick<Metadata, "topics" | "onChanged">;
  readonly admin: Pick<PulsarAdmin, "drift" | "ensureTopic">;
  readonly policyOf: (spec: TopicSpec) => TopicPolicy;
  readonly clock: Clock;
  readonly logger: Logger;
  /** A topic in Pulsar was not as it had been made; `missing` when it was gone. */
  readonly onDrift: (topic: string, field: string) => void;
  /** Between two looks at what nobody here changed. Default 5 minutes. */
  readonly lookEveryMs?: number;
}

const lookEveryMsDefault = 300_000;
const retryMs = 5_000;

/**
 * Keeps the topics in Pulsar as the metadata says: makes them, changes them, and sets right what somebody else changed there, which
 * it tells. Not on the path of events: a topic that is published to before is made by who publishes.
 */
export class TopicSync implements Part {
  readonly name = "topic sync";
  readonly #options: TopicSyncOptions;
  /** What Pulsar was last seen to have. */
  readonly #applied = new Map<string, string>();
  #stopping = new AbortController();
  #unfollow: (() => void) | undefined;
  #running: Promise<void> | undefined;
  #wake: (() => void) | undefined;

  constructor(options: TopicSyncOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    if (this.#running) return Promise.resolve();
    this.#stopping = new AbortController();
    this.#unfollow = this.#options.metadata.onChanged(() => this.#wake?.());
    this.#running = this.#run();
    return Promise.resolve();
  }

  async stop(): Promise<void> {
    this.#unfollow?.();
    this.#stopping.abort();
    this.#wake?.();
    await this.#running;
    this.#running = undefined;
  }

  async #run(): Promise<void> {
    const { clock, lookEveryMs = lookEveryMsDefault } = this.#options;
    let looksMs = clock.monotonicMs() + lookEveryMs;
    while (!this.#stopping.signal.aborted) {
      const isLook = clock.monotonicMs() >= looksMs;
      if (isLook) looksMs = clock.monotonicMs() + lookEveryMs;
      const woken = this.#nextChange();
      const isWhole = await this.#round(isLook);
      if (this.#isStopping()) return;
      const waitMs = isWhole ? Math.max(0, looksMs - clock.monotonicMs()) : retryMs;
      await this.#pause(waitMs, woken);
    }
  }

  /** False when a topic could not be seen to: it is tried again soon. */
  async #round(isLook: boolean): Promise<boolean> {
    let isWhole = true;
    const specs = this.#options.metadata.topics();
    this.#forgetAllBut(specs);
    for (const spec of specs) {
      if (this.#isStopping()) return false;
      const wanted = JSON.stringify(this.#options.policyOf(spec));
      const isApplied = this.#applied.get(spec.name) === wanted;
      if (isApplied && !isLook) continue;
      try {
        await this.#see(spec, isApplied);
        this.#applied.set(spec.name, wanted);
      } catch (error) {
        isWhole = false;
        const level = MeshError.is(error) && error.retryable ? "debug" : "warn";
        const fields = { err: error, topic: spec.name };
        this.#options.logger[level](fields, "The topic cannot be set up in Pulsar now.");
      }
    }
    return isWhole;
  }

  /** A topic that was removed and comes again is made again. */
  #forgetAllBut(specs: readonly TopicSpec[]): void {
    const names = new Set(specs.map(({ name }) => name));
    for (const name of this.#applied.keys()) if (!names.has(name)) this.#applied.delete(name);
  }

  async #see(spec: TopicSpec, isApplied: boolean): Promise<void> {
    const { admin, policyOf, logger, onDrift } = this.#options;
    const { name: topic } = spec;
    const policy = policyOf(spec);
    const fields = await this.#driftOf(topic, policy);
    if (fields.length === 0) return;
    await admin.ensureTopic(topic, policy);
    if (!isApplied) return;
    for (const field of fields) onDrift(topic, field);
    logger.warn({ topic, fields }, "Somebody had changed the topic in Pulsar; it is set right.");
  }

  async #driftOf(topic: string, policy: TopicPolicy): Promise<string[]> {
    try {
      return (await this.#options.admin.drift(topic, policy)).map(({ field }) => field);
    } catch (error) {
      if (!MeshError.is(error, "TOPIC_UNKNOWN")) throw error;
      return ["missing"];
    }
  }

  #nextChange(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  async #pause(waitMs: number, woken: Promise<void>): Promise<void> {
    const over = new AbortController();
    const signal = AbortSignal.any([over.signal, this.#stopping.signal]);
    await Promise.race([sleep(this.#options.clock, waitMs, signal), woken]);
    over.abort();
  }

  #isStopping(): boolean {
    return this.#stopping.signal.aborted;
  }
}
