import type { Chance, Clock, Timer } from "@fleetmesh/core";
import type { Consent, DeliverySpec } from "../metadata/metadata.ts";
import type { Target } from "../target/target.ts";
import { CircuitBreaker } from "./circuit-breaker.ts";
import { RateLimit } from "./rate-limit.ts";
import type { TargetGate } from "./target-gate.ts";

export interface WindowOptions {
  readonly delivery: DeliverySpec;
  readonly consent?: Consent | undefined;
  readonly clock: Clock;
  readonly chance: Chance;
  readonly gate: TargetGate;
  readonly target?: Pick<Target, "placesMax">;
  /** There may be a free place now. */
  readonly onOpen: () => void;
}

/** Whether one more delivery may start: places in flight, the target's wish for silence, its health and the rate limit. */
export class DeliveryWindow {
  readonly breaker: CircuitBreaker;
  readonly #options: WindowOptions;
  readonly #rate: RateLimit | undefined;
  #inFlight = 0;
  #timer: Timer | undefined;
  #onIdle: (() => void) | undefined;

  constructor(options: WindowOptions) {
    const { clock, chance } = options;
    this.#options = options;
    this.breaker = new CircuitBreaker(clock, chance);
    const perSecond = ratePerSecondOf(options);
    if (perSecond !== undefined) this.#rate = new RateLimit(clock, perSecond);
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  /** False when not now; when it is a matter of time, `onOpen` is called then. */
  mayStart(): boolean {
    const { delivery, target } = this.#options;
    const placesMax = Math.min(delivery.windowMax, target?.placesMax ?? Infinity);
    if (this.#inFlight >= this.breaker.limit(placesMax)) {
      if (this.breaker.waitMs > 0) this.#wakeIn(this.breaker.waitMs);
      return false;
    }
    const waitMs = Math.max(this.#options.gate.waitMs, this.#rate?.waitMs ?? 0);
    if (waitMs > 0) this.#wakeIn(waitMs);
    return waitMs <= 0;
  }

  started(): void {
    this.#inFlight += 1;
    this.#rate?.spend();
  }

  ended(): void {
    this.#inFlight -= 1;
    if (this.#inFlight === 0) this.#onIdle?.();
  }

  /** Resolves when nothing is in flight, or at the deadline. */
  idle(deadline: AbortSignal): Promise<void> {
    if (this.#inFlight === 0 || deadline.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      this.#onIdle = resolve;
      deadline.addEventListener("abort", () => resolve(), { once: true });
    });
  }

  /** A place is used for loading a parked event or for a transform, which cost no send. */
  occupy(): void {
    this.#inFlight += 1;
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #wakeIn(waitMs: number): void {
    this.#timer ??= this.#options.clock.setTimer(Math.ceil(waitMs), () => {
      this.#timer = undefined;
      this.#options.onOpen();
    });
  }
}

/** The lower of what is wanted and what the sink consented to; never more in a minute than that, the burst included. */
function ratePerSecondOf({ delivery, consent }: WindowOptions): number | undefined {
  const perMinute = consent?.ratePerMinute;
  if (perMinute === undefined) return delivery.ratePerSecond;
  const allowed = perMinute / (perMinute > 600 ? 60.1 : 60);
  return Math.min(delivery.ratePerSecond ?? Infinity, allowed);
}
