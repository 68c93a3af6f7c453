import type { Clock, Timer } from "@fleetmesh/core";

/** Something that expires. The wheel keeps its place in `wheelSlot`; undefined when it is not on the wheel. */
export interface WheelEntry {
  wheelSlot: Set<WheelEntry> | undefined;
  wheelRounds: number;
  expire(): void;
}

const slotCount = 64;

/** Timeouts by the thousand for the price of one timer: an entry expires at most one tick late, and never early. */
export class TimerWheel {
  readonly #clock: Clock;
  readonly #tickMs: number;
  readonly #slots = Array.from({ length: slotCount }, () => new Set<WheelEntry>());
  #at = 0;
  #count = 0;
  #timer: Timer | undefined;

  constructor(clock: Clock, tickMs = 50) {
    this.#clock = clock;
    this.#tickMs = tickMs;
  }

  add(entry: WheelEntry, delayMs: number): void {
    // One tick more than the delay: the current tick has begun already.
    const ticks = Math.max(1, Math.ceil(delayMs / this.#tickMs)) + 1;
    const slot = this.#slots[(this.#at + ticks) % slotCount];
    entry.wheelRounds = Math.floor((ticks - 1) / slotCount);
    entry.wheelSlot = slot;
    slot?.add(entry);
    this.#count += 1;
    this.#timer ??= this.#clock.setTimer(this.#tickMs, this.#tick);
  }

  remove(entry: WheelEntry): void {
    if (!entry.wheelSlot?.delete(entry)) return;
    entry.wheelSlot = undefined;
    this.#count -= 1;
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  readonly #tick = (): void => {
    this.#at = (this.#at + 1) % slotCount;
    // The timer goes on for as long as there is something to wait for, so that a quiet wheel costs nothing.
    this.#timer = this.#count > 0 ? this.#clock.setTimer(this.#tickMs, this.#tick) : undefined;
    for (const entry of this.#slots[this.#at] ?? []) {
      if (entry.wheelRounds > 0) {
        entry.wheelRounds -= 1;
        continue;
      }
      this.remove(entry);
      entry.expire();
    }
  };
}
