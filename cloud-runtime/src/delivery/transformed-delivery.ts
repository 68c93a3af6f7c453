import { MeshError, type Clock, type MeshEvent } from "@fleetmesh/core";
import type { StoredEvent } from "../store/event-store.ts";
import type { Delivery, DeliveryOutcome, Target } from "../target/target.ts";
import type { Transformer } from "../transform/transforms.ts";
import type { DeliveryItem, ItemOwner } from "./delivery-item.ts";
import type { RunnerTelemetry } from "./runner-telemetry.ts";

/** Who sends events through a transform, and is told of each how it went: exactly one of these, once. */
export interface TransformOwner extends ItemOwner {
  /** What was made may be sent now. */
  readonly maySendMade: boolean;
  /** The rule made nothing of it. */
  dropped(item: DeliveryItem): void;
  /** The rule failed, for good. */
  unfit(item: DeliveryItem, failure: MeshError): void;
  /** Nothing was sent and nothing is known: it is to be sent again. */
  notSent(item: DeliveryItem): void;
  /** The first of its sends begins. */
  sends(item: DeliveryItem): void;
}

export interface TransformedDeliveriesOptions {
  readonly owner: TransformOwner;
  readonly transformer: Transformer;
  readonly target: Target;
  readonly clock: Clock;
  readonly telemetry: RunnerTelemetry;
}

/** What rules made and targets have not taken yet: beyond it a subscription sends nothing more. */
const bytesMax = 4 * 2 ** 20;
/** After a failure that is not the rule's. */
const againMs = 2_000;

/**
 * Sends what a transform makes of events. Of several events made of one, each is sent when the one before it was taken, so that
 * they stay in order; the event counts as taken with the last. After a failure it goes on with the one that failed, after a crash with
 * the first, under the same ids.
 */
export class TransformedDeliveries {
  readonly #options: TransformedDeliveriesOptions;
  /** Of what an event became, how many were taken already. */
  readonly #taken = new WeakMap<DeliveryItem, number>();
  #byteCount = 0;

  constructor(options: TransformedDeliveriesOptions) {
    this.#options = options;
  }

  get isFull(): boolean {
    return this.#byteCount > bytesMax;
  }

  deliver(item: DeliveryItem, { entry }: StoredEvent): void {
    const { transformer } = this.#options;
    try {
      const made = transformer.apply({ event: entry.event, nowMs: entry.receivedMs });
      if (made instanceof Promise)
        made.then(
          (events) => this.#made(item, events),
          (error: unknown) => this.#failed(item, error),
        );
      else this.#made(item, made);
    } catch (error) {
      this.#failed(item, error);
    }
  }

  stop(): void {
    this.#options.transformer.stop();
  }

  #made(item: DeliveryItem, events: readonly MeshEvent[]): void {
    const { owner } = this.#options;
    if (events.length === 0) owner.dropped(item);
    else if (!owner.maySendMade) owner.notSent(item);
    else {
      owner.sends(item);
      const outputs = new Outputs(item, events, this.#taken.get(item) ?? 0);
      this.#byteCount += outputs.byteCount;
      this.#send(item, outputs);
    }
  }

  #failed(item: DeliveryItem, thrown: unknown): void {
    const { owner, clock } = this.#options;
    const error = MeshError.from(thrown);
    if (error.kind === "TRANSFORM_FAILED") owner.unfit(item, error);
    else if (error.kind === "STOPPING") owner.notSent(item);
    else clock.setTimer(againMs, () => owner.notSent(item));
  }

  #send(item: DeliveryItem, outputs: Outputs): void {
    const { target, clock } = this.#options;
    item.attemptStartMs = clock.monotonicMs();
    target.deliver({
      ...{ event: outputs.next, topic: item.topic, subscription: item.subscription },
      ...{ timeoutMs: item.timeoutMs, isRedriven: item.isRedriven },
      settle: (outcome) => this.#settled(item, outputs, outcome),
    } satisfies Delivery);
  }

  #settled(item: DeliveryItem, outputs: Outputs, outcome: DeliveryOutcome): void {
    const { owner, telemetry, clock } = this.#options;
    if (outcome.kind === "taken") {
      outputs.takenCount += 1;
      if (outputs.hasMore) {
        telemetry.attempted(item.topic, outcome.status, clock.monotonicMs() - item.attemptStartMs);
        if (owner.maySendMade) {
          this.#send(item, outputs);
          return;
        }
      }
    }
    this.#byteCount -= outputs.byteCount;
    this.#taken.set(item, outputs.takenCount);
    owner.ended(item, outputs.hasMore && outcome.kind === "taken" ? { kind: "aborted" } : outcome);
  }
}

/** What one event became. */
class Outputs {
  readonly byteCount: number;
  takenCount: number;
  readonly #events: readonly MeshEvent[];

  constructor(item: DeliveryItem, events: readonly MeshEvent[], takenCount: number) {
    this.#events = events;
    // A rule that was changed meanwhile may make fewer: the last one is sent in any case.
    this.takenCount = Math.min(takenCount, events.length - 1);
    this.byteCount = events.reduce((sum, { data }) => sum + (data?.length ?? 0), item.byteCount);
  }

  get next(): MeshEvent {
    return this.#events[this.takenCount] as MeshEvent;
  }

  get hasMore(): boolean {
    return this.takenCount < this.#events.length;
  }
}

/** The same for all events that fail for the same reason: dead letters are told apart by it. */
export function unfitReason({ details }: MeshError): string {
  const { step, kind, why } = details;
  const words = failureWords[typeof why === "string" ? why : ""] ?? "failed";
  const place = typeof step === "number" && typeof kind === "string" ? ` ${step} (${kind})` : "";
  return `the transform's step${place} ${words}`;
}

const failureWords: Readonly<Record<string, string>> = {
  time: "took too long",
  memory: "took too much memory",
  missing: "names what the event does not have",
  result: "made no valid event",
};
