import {
  compareMessageIds,
  formatMessageId,
  parseMessageId,
  type MessageId,
  type ReceivedMessage,
} from "@fleetmesh/pulsar";
import { MeshError } from "@fleetmesh/core";
import type { Page, Position, ReadLimit, StoredEvent, TopicBounds } from "../event-store.ts";
import type { CatchUp } from "./catch-up.ts";
import { EventPage } from "./event-page.ts";
import { topicStart } from "./message-place.ts";
import type { PageCache } from "./page-cache.ts";
import type { Segment } from "./segment-list.ts";
import { flagged } from "./repaired-event.ts";
import { storedEventOf } from "./stored-message.ts";
import type { TopicLog } from "./topic-log.ts";
import type { TopicState } from "./topic-state.ts";
import type { PlacedEvent, TopicTail } from "./topic-tail.ts";

export interface RegionTopicOptions {
  readonly region: string;
  readonly log: TopicLog;
  readonly tail: TopicTail;
  readonly catchUp: CatchUp;
  readonly pages: PageCache;
}

/** Reading one topic: from its tail, or by a reader that catches up. Never past the fold, and never what the fold found void. */
export class RegionTopic {
  readonly log: TopicLog;
  readonly tail: TopicTail;
  readonly #options: RegionTopicOptions;

  constructor(options: RegionTopicOptions) {
    this.#options = options;
    this.log = options.log;
    this.tail = options.tail;
  }

  get state(): TopicState {
    return this.log.state;
  }

  async read(after: Position, limit: ReadLimit): Promise<Page> {
    await this.log.readable();
    const { state, tail } = this;
    const from = placeOf(state, after);
    const nothing = { events: [], next: formatMessageId(from) };
    if (compareMessageIds(from, state.lastEvent) >= 0) return nothing;
    let events: readonly StoredEvent[] = [];
    if (compareMessageIds(from, tail.floor) < 0) {
      const key = `${this.log.topic} ${nothing.next} ${limit.countMax} ${limit.bytesMax}`;
      events = await this.#options.pages.get(key, () => this.#catchUp(from, limit));
    }
    if (events.length === 0) {
      const page = new EventPage(limit);
      tail.fill(page, later(from, tail.floor));
      events = page.events;
    }
    const last = events.at(-1);
    return last ? { events, next: last.position } : nothing;
  }

  async bounds(): Promise<TopicBounds> {
    await this.log.readable();
    const { segments, lastEvent, stored } = this.state;
    return {
      earliest: formatMessageId(segments.head),
      latest: formatMessageId(lastEvent),
      ...{ stored, trimmed: segments.trimmed },
    };
  }

  async positionAt(timeMs: number): Promise<Position> {
    await this.log.readable();
    const segment = this.state.segments.atTime(timeMs);
    if (!segment) return formatMessageId(this.state.lastEvent);
    return formatMessageId(await this.#before(segment, timeMs));
  }

  /** Events behind a place, oldest first; `visit` ends it by false. */
  async scan(
    range: { after: MessageId; until: MessageId },
    visit: (event: PlacedEvent) => boolean,
  ) {
    const scan = { topic: this.log.topic, ...range };
    await this.#options.catchUp.scan(scan, (message) => {
      const stored = this.#eventOf(message);
      const { id, publishedMs } = message;
      return stored === undefined || visit({ id, publishedMs, stored });
    });
  }

  /** Up to the tail's floor, or until the page is full. */
  async #catchUp(after: MessageId, limit: ReadLimit): Promise<readonly StoredEvent[]> {
    const page = new EventPage(limit);
    const scan = { topic: this.log.topic, after, until: this.tail.floor };
    await this.#options.catchUp.scan(scan, (message) => {
      const stored = this.#eventOf(message);
      return stored === undefined || page.add(stored);
    });
    return page.events;
  }

  #eventOf(message: ReceivedMessage): StoredEvent | undefined {
    if (this.state.voids.has(message.id)) return undefined;
    const stored = storedEventOf(message, this.log.topic, this.#options.region);
    return stored && this.state.lates.has(message.id) ? flagged(stored) : stored;
  }

  /** The last event of the segment that was stored before this time. */
  async #before(segment: Segment, timeMs: number): Promise<MessageId> {
    let { before } = segment;
    if (segment.firstMs >= timeMs) return before;
    let storedMs = segment.firstMs;
    await this.scan({ after: before, until: segment.last }, ({ id, publishedMs }) => {
      storedMs = Math.max(storedMs, publishedMs);
      if (storedMs < timeMs) before = id;
      return storedMs < timeMs;
    });
    return before;
  }
}

/** The message behind which to read. Throws POSITION_INVALID, or POSITION_TRIMMED with details.earliest. */
function placeOf(state: TopicState, position: Position): MessageId {
  const { segments, lastEvent, place, topic } = state;
  if (position === "earliest") return segments.head;
  if (position === "latest") return lastEvent;
  const id = parseMessageId(position);
  if (compareMessageIds(id, later(place, topicStart)) > 0)
    throw new MeshError("POSITION_INVALID", `"${position}" is not a position of ${topic} yet`);
  if (compareMessageIds(id, segments.head) >= 0) return id;
  const earliest = formatMessageId(segments.head);
  throw new MeshError("POSITION_TRIMMED", `${topic} is kept from ${earliest} on`, {
    details: { earliest },
  });
}

function later(left: MessageId, right: MessageId): MessageId {
  return compareMessageIds(left, right) > 0 ? left : right;
}
