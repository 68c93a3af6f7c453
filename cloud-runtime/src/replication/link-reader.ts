import type { Clock } from "@fleetmesh/core";
import type { EventStore, Position, StoredEvent } from "../store/event-store.ts";
import { isMeantFor } from "./meant-for.ts";
import type { TopicWatch } from "./topic-watch.ts";

export interface LinkPage {
  readonly events: readonly StoredEvent[];
  /** Events of here that were passed over because they name other regions. */
  readonly withheld: number;
  readonly next: Position;
  /** More is stored already: read again at once. */
  readonly hasMore: boolean;
}

export interface LinkRead {
  readonly topic: string;
  /** The region that reads; without it, events that name their regions stay here. */
  readonly to: string | undefined;
  readonly after: Position;
  readonly countMax: number;
  readonly waitMs: number;
  /** The reader went away, or the runtime stops. */
  readonly signal: AbortSignal;
}

interface Seen {
  readonly after: Position;
  readonly atMs: number;
}

/** A link that has not asked for so long does not want the topic any more. */
const silenceMsMax = 120_000;
const pageBytesMax = 2 * 1024 * 1024;
/** So many pages of other regions' events are passed over before the reader gets an answer and moves its place. */
const foreignPageCountMax = 50;

/**
 * What other regions may take from here: only events that entered the mesh here, and of those that name regions only theirs. With every region linked to every other
 * and nobody passing on what came over a link, no event can travel in a circle or arrive on two ways.
 */
export class LinkReader {
  readonly #region: string;
  readonly #store: EventStore;
  readonly #watch: TopicWatch;
  readonly #clock: Clock;
  /** Where each region has read a topic up to, by topic and region. */
  readonly #seen = new Map<string, Map<string, Seen>>();

  constructor(region: string, store: EventStore, ports: { watch: TopicWatch; clock: Clock }) {
    this.#region = region;
    this.#store = store;
    this.#watch = ports.watch;
    this.#clock = ports.clock;
  }

  async read(request: LinkRead): Promise<LinkPage> {
    const { topic, to, countMax, waitMs, signal } = request;
    const nowMs = this.#clock.monotonicMs();
    const untilMs = nowMs + waitMs;
    if (to !== undefined) this.#note(topic, to, { after: request.after, atMs: nowMs });
    let position = request.after;
    let withheld = 0;
    for (let passed = 0; passed < foreignPageCountMax;) {
      const growth = this.#watch.growthOf(topic);
      const page = await this.#store.read(topic, position, { countMax, bytesMax: pageBytesMax });
      const own = page.events.filter(({ origin }) => origin.region === this.#region);
      const events = own.filter(({ entry }) => isMeantFor(entry.event, to));
      withheld += own.length - events.length;
      position = page.next;
      if (events.length > 0)
        return { events, withheld, next: position, hasMore: await this.#hasMore(topic, position) };
      if (page.events.length > 0 || page.damaged) {
        passed += 1;
        continue;
      }
      const leftMs = untilMs - this.#clock.monotonicMs();
      if (leftMs <= 0 || signal.aborted)
        return { events: [], withheld, next: position, hasMore: false };
      await this.#watch.changed(topic, growth, { ms: leftMs, signal });
    }
    return { events: [], withheld, next: position, hasMore: true };
  }

  /** Regions that fetch the topic and do not have all of it up to this position, its last, yet. */
  regionsBehind(topic: string, last: Position): string[] {
    const nowMs = this.#clock.monotonicMs();
    const readers = [...(this.#seen.get(topic) ?? [])];
    return readers
      .filter(([, { after, atMs }]) => after !== last && nowMs - atMs <= silenceMsMax)
      .map(([region]) => region);
  }

  #note(topic: string, region: string, seen: Seen): void {
    const regions = this.#seen.get(topic) ?? new Map<string, Seen>();
    this.#seen.set(topic, regions.set(region, seen));
  }

  async #hasMore(topic: string, position: Position): Promise<boolean> {
    return (await this.#store.bounds(topic)).latest !== position;
  }
}
