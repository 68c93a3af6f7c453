import type { Clock } from "@fleetmesh/core";

/** Silence that a target asked for with Retry-After: it holds for all subscriptions that push there. */
export class TargetGate {
  readonly #clock: Clock;
  #untilMs = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  close(forMs: number): void {
    this.#untilMs = Math.max(this.#untilMs, this.#clock.monotonicMs() + forMs);
  }

  /** Milliseconds until the target may be spoken to; 0 = now. */
  get waitMs(): number {
    return this.#untilMs === 0 ? 0 : Math.max(0, this.#untilMs - this.#clock.monotonicMs());
  }
}

/** One gate per sink. */
export class TargetGates {
  readonly #clock: Clock;
  readonly #gates = new Map<string, { gate: TargetGate; users: number }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  take(sink: string): TargetGate {
    const known = this.#gates.get(sink) ?? { gate: new TargetGate(this.#clock), users: 0 };
    known.users += 1;
    this.#gates.set(sink, known);
    return known.gate;
  }

  give(sink: string): void {
    const known = this.#gates.get(sink);
    if (!known) return;
    known.users -= 1;
    if (known.users <= 0 && known.gate.waitMs === 0) this.#gates.delete(sink);
  }
}
