import type { Clock, Logger, RejectedEvent } from "@fleetmesh/core";

const recentMax = 20;
const logsPerMinuteMax = 10;

/** What the region refused for good: counted in full, the last few kept for the status page, a few a minute logged. */
export class RecentRejections {
  readonly #clock: Clock;
  readonly #logger: Logger;
  #recent: RejectedEvent[] = [];
  #count = 0;
  #minuteMs = -Infinity;
  #logged = 0;

  constructor(clock: Clock, logger: Logger) {
    this.#clock = clock;
    this.#logger = logger;
  }

  get recent(): readonly RejectedEvent[] {
    return this.#recent;
  }

  get count(): number {
    return this.#count;
  }

  add(rejected: readonly RejectedEvent[]): void {
    this.#count += rejected.length;
    this.#recent = [...this.#recent, ...rejected].slice(-recentMax);
    for (const one of rejected) this.#log(one);
  }

  #log({ eventClass, sequence, code, reason }: RejectedEvent): void {
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - this.#minuteMs > 60_000) [this.#minuteMs, this.#logged] = [nowMs, 0];
    this.#logged += 1;
    if (this.#logged > logsPerMinuteMax) return;
    this.#logger.warn(
      { class: eventClass, sequence, code, reason },
      "The region refused an event for good; it keeps it among the rejected.",
    );
  }
}
