import { MeshError } from "@fleetmesh/core";
import type { RegionLink } from "../region-link.ts";
import { Rounds } from "../rounds.ts";
import type { GeoPorts } from "./geo-ports.ts";

const againMs = 600_000;

/** Has one region take in the topics that Pulsar brings there. Until it has, the brokers keep them at their origins. */
export class GeoReceiver {
  readonly #link: RegionLink;
  readonly #rounds: Rounds;
  readonly #admitted = new Set<string>();
  #wanted: ReadonlySet<string> = new Set();

  constructor(link: RegionLink, { clock, chance, logger }: GeoPorts) {
    this.#link = link;
    const onFailing = ({ code, message }: MeshError): void =>
      logger.warn(
        { region: link.region, code, reason: message },
        "A region does not take a topic.",
      );
    const options = { clock, chance, periodMs: againMs, onFailing };
    this.#rounds = new Rounds(options, (signal) => this.#round(signal));
  }

  start(): void {
    this.#rounds.start();
  }

  stop(): Promise<void> {
    return this.#rounds.stop();
  }

  want(topics: ReadonlySet<string>): void {
    this.#wanted = topics;
    for (const topic of this.#admitted) if (!topics.has(topic)) this.#admitted.delete(topic);
    if ([...topics].some((topic) => !this.#admitted.has(topic))) this.#rounds.wake();
  }

  async #round(signal: AbortSignal): Promise<void> {
    let failure: MeshError | undefined;
    for (const topic of this.#wanted) {
      if (signal.aborted) return;
      if (this.#admitted.has(topic)) continue;
      try {
        await this.#link.admit(topic, signal);
        this.#admitted.add(topic);
      } catch (error) {
        failure = MeshError.from(error);
      }
    }
    if (failure !== undefined) throw failure;
  }
}
