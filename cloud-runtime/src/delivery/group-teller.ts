import { MeshError, sleep, type Clock } from "@fleetmesh/core";
import type { GroupPlaces, ToldGroup } from "../store/event-store.ts";
import type { Feed } from "./feed.ts";

export interface GroupTellerOptions {
  readonly groups: GroupPlaces;
  readonly feeds: () => Iterable<Feed>;
  readonly clock: Clock;
}

const tellEveryMs = 1_000;

/** Tells other regions each second how far the groups have come that may go on there. */
export class GroupTeller {
  readonly #options: GroupTellerOptions;
  readonly #stopping = new AbortController();
  #running: Promise<void> | undefined;

  constructor(options: GroupTellerOptions) {
    this.#options = options;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  /** Never rejects: what could not be told is told later, or a little is given twice. */
  async tell(feeds: Iterable<Feed>): Promise<void> {
    const byTopic = new Map<string, { feed: Feed; told: ToldGroup }[]>();
    const atMs = this.#options.clock.wallMs();
    for (const feed of feeds) {
      const place = feed.takePlace(atMs);
      if (!place) continue;
      const told = { subscription: feed.subscriptionId, place };
      byTopic.set(feed.topic, [...(byTopic.get(feed.topic) ?? []), { feed, told }]);
    }
    await Promise.all(
      [...byTopic].map(async ([topic, places]) => {
        try {
          await this.#options.groups.tell(
            topic,
            places.map(({ told }) => told),
          );
        } catch (error) {
          if (!MeshError.is(error)) throw error;
          for (const { feed } of places) feed.putPlaceBack();
        }
      }),
    );
  }

  async #run(): Promise<void> {
    const { clock, feeds } = this.#options;
    while (!this.#stopping.signal.aborted) {
      await sleep(clock, tellEveryMs, this.#stopping.signal);
      await this.tell(feeds());
    }
  }
}
