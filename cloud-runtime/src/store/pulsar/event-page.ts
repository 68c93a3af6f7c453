import type { ReadLimit, StoredEvent } from "../event-store.ts";
import { entrySize } from "../shared/entry-size.ts";

/** Fills one page up to its limit; the first event always fits, so that a reader always gets on. */
export class EventPage {
  readonly events: StoredEvent[] = [];
  readonly #limit: ReadLimit;
  #bytes = 0;

  constructor(limit: ReadLimit) {
    this.#limit = limit;
  }

  /** False when the page is full: the event is not on it. */
  add(stored: StoredEvent): boolean {
    const { countMax, bytesMax } = this.#limit;
    this.#bytes += entrySize(stored.entry);
    if (this.events.length > 0 && (this.events.length >= countMax || this.#bytes > bytesMax))
      return false;
    this.events.push(stored);
    return true;
  }
}
