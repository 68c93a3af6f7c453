import type { BlockEntry } from "@fleetmesh/core";
import type { Origin, ReadLimit, StoredEvent } from "../event-store.ts";
import { entrySize } from "./entry-size.ts";
import { positionOf } from "./topic-position.ts";

/** Fills one page up to its limit; the first event always fits, so that a reader always gets on. */
export class PageCollector {
  readonly events: StoredEvent[] = [];
  readonly #limit: ReadLimit;
  #bytes = 0;

  constructor(limit: ReadLimit) {
    this.#limit = limit;
  }

  /** False when the page is full: the event is not on it. */
  add(ordinal: number, entry: BlockEntry, origin: Origin): boolean {
    const { countMax, bytesMax } = this.#limit;
    this.#bytes += entrySize(entry);
    if (this.events.length > 0 && (this.events.length >= countMax || this.#bytes > bytesMax))
      return false;
    this.events.push({ position: positionOf(ordinal), topic: entry.topic, origin, entry });
    return true;
  }
}
