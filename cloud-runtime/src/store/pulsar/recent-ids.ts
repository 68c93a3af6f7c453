import type { MessageId } from "@fleetmesh/pulsar";
import { idHash } from "../shared/event-identity.ts";
import type { TopicLog } from "./topic-log.ts";

export interface RecentPlace {
  readonly log: TopicLog;
  readonly id: MessageId;
}

/** Where the newest events lie, by a hash of their ids: a ring of so many, over all topics. */
export class RecentIds {
  readonly #hashes: Uint32Array;
  readonly #places: (RecentPlace | undefined)[];
  #next = 0;
  #count = 0;

  constructor(countMax: number) {
    this.#hashes = new Uint32Array(countMax);
    this.#places = new Array<RecentPlace | undefined>(countMax);
  }

  /** Gives the place that this one pushes out. */
  add(eventId: string, place: RecentPlace): RecentPlace | undefined {
    const pushedOut = this.#places[this.#next];
    this.#hashes[this.#next] = idHash(eventId);
    this.#places[this.#next] = place;
    this.#next = (this.#next + 1) % this.#places.length;
    this.#count = Math.min(this.#count + 1, this.#places.length);
    return pushedOut;
  }

  /** Places that may hold events with this id, newest first. */
  find(eventId: string): RecentPlace[] {
    const hash = idHash(eventId);
    const found: RecentPlace[] = [];
    for (let back = 1; back <= this.#count; back += 1) {
      const at = (this.#next - back + this.#places.length) % this.#places.length;
      const place = this.#places[at];
      if (this.#hashes[at] === hash && place) found.push(place);
    }
    return found;
  }
}
