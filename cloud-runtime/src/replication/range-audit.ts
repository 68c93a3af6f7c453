import { createHash } from "node:crypto";
import type { EventStore, Position, StoredEvent } from "../store/event-store.ts";
import { isMeantFor } from "./meant-for.ts";

export interface RangeRequest {
  readonly topic: string;
  /** Only events that entered the mesh there. */
  readonly origin: string;
  /** At the origin: only events that may go to this region. */
  readonly to?: string | undefined;
  /** Positions of this region: events behind `after`, up to and with `until`. */
  readonly after: Position;
  readonly until: Position;
}

/** What a range holds: the count, and a digest over the identities that does not depend on order. */
export interface RangeSeal {
  readonly count: number;
  readonly digest: string;
  /** False when the range was longer than what one audit looks at. */
  readonly isWhole: boolean;
}

const pageLimit = { countMax: 1_000, bytesMax: 4 * 1024 * 1024 };
const pageCountMax = 200;

/**
 * Counts and fingerprints the stored events of a range, from the store itself and not from anybody's counters: the same
 * range at both ends of a link must give the same seal, or events were lost or doubled on the way.
 */
export async function sealRange(store: EventStore, range: RangeRequest): Promise<RangeSeal> {
  const sum = Buffer.alloc(16);
  let count = 0;
  let position = range.after;
  for (let pages = 0; pages < pageCountMax; pages += 1) {
    const page = await store.read(range.topic, position, pageLimit);
    for (const event of page.events) {
      if (isOf(event, range)) {
        count += 1;
        mix(sum, event);
      }
      if (event.position === range.until) return seal(sum, count, true);
    }
    if (page.damaged?.includes(range.until)) return seal(sum, count, true);
    if (page.events.length === 0 && !page.damaged) return seal(sum, count, true);
    position = page.next;
    if (position === range.until) return seal(sum, count, true);
  }
  return seal(sum, count, false);
}

function isOf({ origin, entry }: StoredEvent, range: RangeRequest): boolean {
  if (origin.region !== range.origin) return false;
  return range.to === undefined || isMeantFor(entry.event, range.to);
}

function seal(sum: Buffer, count: number, isWhole: boolean): RangeSeal {
  return { count, digest: sum.toString("hex"), isWhole };
}

/** Adding, unlike xor, also sees an event that is there twice. */
function mix(sum: Buffer, { entry }: StoredEvent): void {
  const { source, id } = entry.event;
  const hash = createHash("sha256").update(`${source}\n${id}`).digest();
  for (let at = 0; at < 4; at += 1) {
    const added = sum.readUInt32LE(at * 4) + hash.readUInt32LE(at * 4);
    sum.writeUInt32LE(added >>> 0, at * 4);
  }
}
