import { compareMessageIds, type MessageId } from "@fleetmesh/pulsar";
import type { StoredEvent } from "../event-store.ts";
import { placeBefore } from "./message-place.ts";
import { RecentIds } from "./recent-ids.ts";
import type { RegionTopic } from "./region-topic.ts";
import type { PlacedEvent } from "./topic-tail.ts";

const foundCountMax = 100;
/** Events that a search goes through, over all topics, beyond those that the index has. */
const scannedCountMax = 20_000;

/** Finding events by id: the newest by an index of this run of the process, some more by reading. */
export class EventSearch {
  readonly #recent: RecentIds;
  /** The last event of each topic that the index does not have. */
  readonly #unindexed = new Map<string, MessageId>();
  readonly #topics: ReadonlyMap<string, RegionTopic>;

  constructor(topics: ReadonlyMap<string, RegionTopic>, indexedCountMax: number) {
    this.#topics = topics;
    this.#recent = new RecentIds(indexedCountMax);
  }

  /** To be told of a topic before its first event is added. */
  follow({ state }: RegionTopic): void {
    this.#unindexed.set(state.topic, state.lastEvent);
  }

  add(topic: RegionTopic, { id, stored }: PlacedEvent): void {
    const pushedOut = this.#recent.add(stored.entry.event.id, { log: topic.log, id });
    if (pushedOut) this.#unindexed.set(pushedOut.log.topic, pushedOut.id);
  }

  /** Newest first. */
  async find(id: string, source: string | undefined): Promise<StoredEvent[]> {
    const isIt = ({ stored }: PlacedEvent): boolean => {
      const { event } = stored.entry;
      return event.id === id && (source === undefined || event.source === source);
    };
    const found = await this.#indexed(id, isIt);
    await this.#scanned(found, isIt);
    found.sort(
      (left, right) => right.publishedMs - left.publishedMs || compareMessageIds(right.id, left.id),
    );
    return found.slice(0, foundCountMax).map(({ stored }) => stored);
  }

  async #indexed(id: string, isIt: (event: PlacedEvent) => boolean): Promise<PlacedEvent[]> {
    const found: PlacedEvent[] = [];
    for (const place of this.#recent.find(id)) {
      if (found.length >= foundCountMax) break;
      const topic = this.#topics.get(place.log.topic);
      const isKept = topic && compareMessageIds(place.id, topic.state.segments.head) > 0;
      const event = isKept ? await eventAt(topic, place.id) : undefined;
      if (event && isIt(event)) found.push(event);
    }
    return found;
  }

  /** Each topic's newest events that are not in the index, within one bound for all. */
  async #scanned(found: PlacedEvent[], isIt: (event: PlacedEvent) => boolean): Promise<void> {
    let left = scannedCountMax;
    for (const [name, until] of this.#unindexed) {
      const topic = this.#topics.get(name);
      if (!topic || left <= 0 || compareMessageIds(until, topic.state.segments.head) <= 0) continue;
      const { after, count } = startOf(topic, { until, countMax: left });
      left -= count;
      await topic.scan({ after, until }, (event) => {
        if (isIt(event)) found.push(event);
        return true;
      });
    }
  }
}

async function eventAt(topic: RegionTopic, id: MessageId): Promise<PlacedEvent | undefined> {
  let found = topic.tail.at(id);
  if (found) return found;
  await topic.scan({ after: placeBefore(id), until: id }, (event) => {
    if (compareMessageIds(event.id, id) === 0) found = event;
    return true;
  });
  return found;
}

/** Behind which to read so that about so many events are read up to a place: whole segments, one at least. */
function startOf(
  { state }: RegionTopic,
  { until, countMax }: { until: MessageId; countMax: number },
): { after: MessageId; count: number } {
  let [after, count] = [state.segments.head, 0];
  for (const segment of [...state.segments.all].reverse()) {
    if (compareMessageIds(segment.before, until) >= 0) continue;
    if (count > 0 && count + segment.count > countMax) break;
    count += segment.count;
    after = segment.before;
  }
  return { after, count };
}
