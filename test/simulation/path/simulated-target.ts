import type { Clock } from "@fleetmesh/core";
import { eventIdentity } from "../../../cloud-runtime/src/target/webhook-id.ts";
import { MemoryTarget } from "../../../cloud-runtime/src/target/memory-target.ts";
import type { Delivery, DeliveryOutcome } from "../../../cloud-runtime/src/target/target.ts";
import type { Draw } from "./draw.ts";
import type { Trace } from "./trace.ts";

/** Chances per attempt, and how long answers take. */
export interface Mood {
  readonly latencyMsMax: number;
  readonly fail: number;
  readonly hang: number;
  readonly refuse: number;
  readonly busy: number;
  readonly gone: number;
}

export const goodMood: Mood = {
  latencyMsMax: 5,
  fail: 0,
  hang: 0,
  refuse: 0,
  busy: 0,
  gone: 0,
};

export interface TargetWorld {
  readonly clock: Clock;
  readonly draw: Draw;
  readonly trace: Trace;
  readonly onViolation: (what: string) => void;
}

/** What one process of the region may no longer send: settled durably before it started, or taken from it since. */
interface ProcessLife {
  readonly settledBefore: ReadonlySet<string>;
  readonly answered: Set<string>;
}

/** Somebody else's server behind one subscription: what it took, in which order, and how it is to those that push. */
export class SimulatedTarget {
  readonly subscription: string;
  /** Ids in the order in which they were first taken. */
  readonly taken = new Set<string>();
  /** Ids that it refused for good at least once. */
  readonly refused = new Set<string>();
  /** Ids of which an attempt failed. */
  readonly failed = new Set<string>();
  mood: Mood = goodMood;
  readonly #world: TargetWorld;
  readonly #webhookIds = new Map<string, string>();

  constructor(subscription: string, world: TargetWorld) {
    this.subscription = subscription;
    this.#world = world;
  }

  /** The target as one process of the region has it. */
  open(settledBefore: ReadonlySet<string>, answered: Set<string>): MemoryTarget {
    const life = { settledBefore, answered };
    return new MemoryTarget((delivery) => this.#answer(delivery, life));
  }

  async #answer(delivery: Delivery, life: ProcessLife): Promise<DeliveryOutcome> {
    const { draw } = this.#world;
    const { id } = delivery.event;
    this.#check(delivery, life);
    const { latencyMsMax, hang } = this.mood;
    const isHanging = draw.hit(hang);
    const waitMs = isHanging ? Infinity : draw.below(latencyMsMax);
    if (waitMs > delivery.timeoutMs) {
      // It may have the event although nobody hears of it.
      if (draw.hit(0.3)) this.#take(id);
      await this.#wait(delivery.timeoutMs);
      this.failed.add(id);
      this.#world.trace.note(this.subscription, `answers nothing to ${id}`);
      return { kind: "failed", status: "timeout" };
    }
    await this.#wait(waitMs);
    const outcome = this.#decide();
    if (outcome.kind === "taken") life.answered.add(id);
    if (outcome.kind === "taken" || (outcome.kind === "failed" && draw.hit(0.2))) this.#take(id);
    if (outcome.kind === "refused") this.refused.add(id);
    if (outcome.kind === "failed") this.failed.add(id);
    if (outcome.kind !== "taken")
      this.#world.trace.note(this.subscription, `answers ${outcome.status} to ${id}`);
    return outcome;
  }

  #decide(): Exclude<DeliveryOutcome, { kind: "aborted" }> {
    const { draw } = this.#world;
    const { fail, refuse, busy, gone } = this.mood;
    if (draw.hit(gone)) return { kind: "retired", status: "410" };
    if (draw.hit(refuse)) return { kind: "refused", status: "400" };
    if (draw.hit(busy)) return { kind: "failed", status: "429", retryAfterMs: draw.below(3_000) };
    if (draw.hit(fail)) return { kind: "failed", status: "503" };
    return { kind: "taken", status: "200" };
  }

  #take(id: string): void {
    const isNew = !this.taken.has(id);
    this.taken.add(id);
    this.#world.trace.note(this.subscription, isNew ? `takes ${id}` : `takes ${id} again`);
  }

  #check({ event, subscription }: Delivery, { settledBefore, answered }: ProcessLife): void {
    const { onViolation } = this.#world;
    const { id } = event;
    if (settledBefore.has(id))
      onViolation(`${subscription}: ${id} is sent again although its cursor was durable`);
    if (answered.has(id)) onViolation(`${subscription}: ${id} is sent again after it was taken`);
    const { webhookId } = eventIdentity(event, subscription);
    const known = this.#webhookIds.get(id) ?? webhookId;
    this.#webhookIds.set(id, known);
    if (known !== webhookId) onViolation(`${subscription}: ${id} came under two webhook ids`);
  }

  #wait(delayMs: number): Promise<void> {
    return new Promise((resolve) => this.#world.clock.setTimer(delayMs, resolve));
  }
}
