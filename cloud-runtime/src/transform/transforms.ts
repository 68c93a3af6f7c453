import { MeshError, type Clock, type MeshEvent } from "@fleetmesh/core";
import type { Registry } from "prom-client";
import { compileLight, stepsOf } from "./compile-transform.ts";
import { RuleQueue } from "./rule-queue.ts";
import { whyOf } from "./transform-failed.ts";
import {
  createTransformMetrics,
  RuleTelemetry,
  type TransformMetrics,
} from "./transform-metrics.ts";
import { TransformPool } from "./transform-pool.ts";
import {
  transformLimitsDefault,
  type TransformInput,
  type TransformLimits,
  type TransformSpec,
} from "./transform.ts";

type Outputs = readonly MeshEvent[];

/** The transform of one subscription, ready to be used. */
export interface Transformer {
  /**
   * What the event becomes. TRANSFORM_FAILED: this event never becomes anything by this rule. Any other error says nothing about
   * the event. The caller bounds how many are under way.
   */
  apply(input: TransformInput): Outputs | Promise<Outputs>;
  /** What waits is let go of: STOPPING. */
  stop(): void;
}

/** Where the dispatcher gets transforms from. */
export interface TransformSource {
  /** Undefined when the subscription has none. Throws SUBSCRIPTION_INVALID. */
  open(subscription: {
    readonly id: string;
    readonly transform?: TransformSpec | undefined;
  }): Transformer | undefined;
  /** Rejects with SUBSCRIPTION_INVALID naming the place when a rule cannot be used. */
  check(spec: TransformSpec): Promise<void>;
  /** One event, not counted. Rejects with SUBSCRIPTION_INVALID, TRANSFORM_FAILED, OVERLOADED or STOPPING. */
  attempt(spec: TransformSpec, input: TransformInput): Promise<Outputs>;
  stop(): Promise<void>;
}

export interface TransformsOptions {
  readonly clock: Clock;
  readonly registry: Registry;
  readonly limits?: Partial<TransformLimits> | undefined;
}

/** Attempts and checks of people, not of events. */
const attemptsMax = 16;

/** All transforms of a runtime: light ones where the event is, the others in a few processes that they share. */
export class Transforms implements TransformSource {
  readonly #clock: Clock;
  readonly #limits: TransformLimits;
  readonly #pool: TransformPool;
  readonly #metrics: TransformMetrics;
  #openCount = 0;
  #attemptCount = 0;

  constructor({ clock, registry, limits }: TransformsOptions) {
    this.#clock = clock;
    this.#limits = { ...transformLimitsDefault, ...limits };
    this.#pool = new TransformPool(clock, this.#limits);
    this.#metrics = createTransformMetrics(registry);
  }

  open({
    id,
    transform,
  }: {
    id: string;
    transform?: TransformSpec | undefined;
  }): Transformer | undefined {
    if (transform === undefined) return undefined;
    const telemetry = new RuleTelemetry(this.#metrics, id);
    const light = compileLight(stepsOf(transform), this.#limits);
    if (light) return this.#timed(light, telemetry);
    // The name is new each time: a thread never takes one rule for another.
    const name = `${id} ${++this.#openCount}`;
    const queue = new RuleQueue(name, transform, (durationMs) => telemetry.took(durationMs));
    return {
      apply: (input) => counted(this.#pool.run(queue, input), telemetry),
      stop: () => queue.failAll(new MeshError("STOPPING", "The subscription is being stopped")),
    };
  }

  async check(spec: TransformSpec): Promise<void> {
    const light = compileLight(stepsOf(spec), this.#limits);
    if (!light) await this.#bounded(() => this.#pool.check(spec));
  }

  async attempt(spec: TransformSpec, input: TransformInput): Promise<Outputs> {
    const light = compileLight(stepsOf(spec), this.#limits);
    if (light) return light(input);
    const queue = new RuleQueue(`attempt ${++this.#openCount}`, spec);
    queue.distrust();
    return this.#bounded(() => this.#pool.run(queue, input));
  }

  stop(): Promise<void> {
    return this.#pool.stop();
  }

  #timed(light: (input: TransformInput) => Outputs, telemetry: RuleTelemetry): Transformer {
    const clock = this.#clock;
    const apply = (input: TransformInput): Outputs => {
      const startMs = clock.monotonicMs();
      try {
        const made = light(input);
        telemetry.made(made.length);
        return made;
      } catch (error) {
        telemetry.failed(whyOf(MeshError.from(error)));
        throw error;
      } finally {
        telemetry.took(clock.monotonicMs() - startMs);
      }
    };
    return { apply, stop: () => undefined };
  }

  async #bounded<Result>(work: () => Promise<Result>): Promise<Result> {
    if (this.#attemptCount >= attemptsMax)
      throw new MeshError("OVERLOADED", "Too many rules are being tried at once", {
        retryAfterSeconds: 1,
      });
    this.#attemptCount += 1;
    try {
      return await work();
    } finally {
      this.#attemptCount -= 1;
    }
  }
}

async function counted(under: Promise<Outputs>, telemetry: RuleTelemetry): Promise<Outputs> {
  try {
    const made = await under;
    telemetry.made(made.length);
    return made;
  } catch (error) {
    if (MeshError.is(error, "TRANSFORM_FAILED")) telemetry.failed(whyOf(error));
    throw error;
  }
}
