import { Backoff, MeshError, sleep, type Chance, type Clock, type Logger } from "@fleetmesh/core";
import { reconnect } from "./reconnect.ts";
import type { RegionLink, RegionState } from "./region-link.ts";

export interface RegionWatchOptions {
  readonly link: RegionLink;
  readonly clock: Clock;
  readonly chance: Chance;
  readonly logger: Logger;
  readonly pollMs: number;
  readonly onState: (state: RegionState) => void;
}

/** Keeps up with what one region wishes and has. While it does not answer, what it wished last stays. */
export class RegionWatch {
  readonly #options: RegionWatchOptions;
  readonly #stopping = new AbortController();
  #running: Promise<void> | undefined;
  #tag: string | undefined;
  #failure: string | undefined = "not asked yet";

  constructor(options: RegionWatchOptions) {
    this.#options = options;
  }

  /** Why it is not known to be there; undefined when it answered last. */
  get failure(): string | undefined {
    return this.#failure;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    const { link, clock, chance, logger, pollMs } = this.#options;
    const backoff = new Backoff(reconnect, chance);
    while (!signal.aborted) {
      try {
        const state = await link.state(this.#tag, this.#tag === undefined ? 0 : pollMs, signal);
        backoff.reset();
        this.#take(state);
      } catch (thrown) {
        if (this.#isStopping()) return;
        const { code, message } = MeshError.from(thrown);
        this.#failure = message;
        if (backoff.failures === 0) {
          logger.warn({ region: link.region, code, reason: message }, "Region is not reached.");
        }
        await sleep(clock, backoff.next(), signal);
      }
    }
  }

  #take(state: RegionState): void {
    const { region } = this.#options.link;
    if (state.region !== region) {
      throw new MeshError("CONFIG_INVALID", `"${region}" calls itself "${state.region}"`, {
        hint: "Correct the name or the URL in the bridge's regions.",
      });
    }
    this.#failure = undefined;
    const isNew = this.#tag !== state.tag;
    this.#tag = state.tag;
    if (isNew) this.#options.onState(state);
  }

  #isStopping(): boolean {
    return this.#stopping.signal.aborted;
  }
}
