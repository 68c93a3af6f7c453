import { formatMessageId } from "@fleetmesh/pulsar";
import type { GroupStart, HeardPlace, ToldGroup } from "../event-store.ts";
import type { GroupPlace } from "../shared/group-place.ts";
import { PassedEvents } from "../shared/passed-events.ts";
import { encodeAudit } from "./audit/audit-message.ts";
import type { FoldState } from "./fold-state.ts";
import type { RegionTopic } from "./region-topic.ts";

export interface GroupExchangeOptions {
  readonly region: string;
  readonly state: FoldState;
  readonly topics: ReadonlyMap<string, RegionTopic>;
  /** Other regions that a topic goes to. */
  readonly regionsOf: (topic: string) => readonly string[];
}

const publisher = "audit";
const placesPerMessage = 50;
/** A region's clock may have been put back by so much. */
const clockStepMs = 60_000;

/** Tells the other regions where this one's consumer groups are, in the topics themselves, and finds where theirs go on here. */
export class GroupExchange {
  readonly #options: GroupExchangeOptions;

  constructor(options: GroupExchangeOptions) {
    this.#options = options;
  }

  /** Nothing is told of a topic that goes nowhere. */
  async tell(topic: string, places: readonly ToldGroup[]): Promise<void> {
    const { region, topics, regionsOf } = this.#options;
    const log = topics.get(topic)?.log;
    if (!log || regionsOf(topic).length === 0) return;
    for (let at = 0; at < places.length; at += placesPerMessage) {
      const body = { region, places: places.slice(at, at + placesPerMessage) };
      await log.send(encodeAudit({ kind: "places", body }, undefined), publisher);
    }
  }

  told(subscription: string): HeardPlace[] {
    const { region, state } = this.#options;
    const told = state.audit.groups.of(subscription);
    return told.map((each) => ({
      ...{ topic: each.topic, place: each.place },
      isOwn: each.region === region,
    }));
  }

  /** Where the group's events begin here that it has not had: at that place or before. */
  start(topic: string, place: GroupPlace): GroupStart {
    const found = this.#options.topics.get(topic);
    if (!found) return { position: "earliest", count: 0 };
    const { state } = found;
    const sinceMs = this.#openSinceMs(topic, place);
    const segment = sinceMs === undefined ? undefined : state.segments.atTime(sinceMs);
    if (!segment) return { position: formatMessageId(state.lastEvent), count: state.stored };
    let count = state.segments.trimmed;
    for (const each of state.segments.all) {
      if (each === segment) break;
      count += each.count;
    }
    return { position: formatMessageId(segment.before), count };
  }

  /** Undefined when this region has nothing yet that the group has not had. */
  #openSinceMs(topic: string, place: GroupPlace): number | undefined {
    const passed = new PassedEvents(place);
    const open = place.origins.filter(({ region }) => this.#hasOpen(topic, region, passed));
    if (open.length === 0) return undefined;
    return Math.min(...open.map(({ sentMs }) => sentMs)) - clockStepMs;
  }

  #hasOpen(topic: string, origin: string, passed: PassedEvents): boolean {
    const { audit } = this.#options.state;
    const isPassed = ({ run, highest }: { run: number; highest: number }): boolean =>
      highest === 0 || passed.has(origin, { run, number: highest });
    return passed.hasOpen(origin) || !audit.runsOf(topic, origin).every(isPassed);
  }
}
