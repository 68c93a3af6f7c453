import { MeshError } from "@fleetmesh/core";
import type { EventStore, Position, StoredEvent } from "../store/event-store.ts";

const pageLimit = { countMax: 500, bytesMax: 1024 * 1024 };
/** Reading from too far back is given up after so many pages, and begun again nearer. */
const pagesMax = 4;
const lastPagesMax = 40;
const firstSpanMs = 1_000;
const spanFactor = 8;
const spanMsMax = 100 * 24 * 3_600_000;
const halvingsMax = 10;

export interface LastEventsOf {
  readonly topic: string;
  readonly count: number;
  readonly nowMs: number;
}

interface Tail {
  readonly events: StoredEvent[];
  /** It goes to the end of the topic. */
  readonly isWhole: boolean;
}

/**
 * The newest stored events of a topic, oldest first. Positions are opaque, so the place to begin is looked for by time, ever
 * further back until there are enough; what is read for it is bounded. Where very many came at once there may be fewer.
 */
export async function lastEvents(store: EventStore, of: LastEventsOf): Promise<StoredEvent[]> {
  let near = of.nowMs;
  let found: StoredEvent[] = [];
  for (let span = firstSpanMs; ; span *= spanFactor) {
    const isAll = span > spanMsMax;
    const far = isAll ? 0 : of.nowMs - span;
    const tail = await tailFrom(store, of, { timeMs: far });
    if (!tail.isWhole) return await closer(store, of, { near, far, found });
    found = tail.events;
    if (found.length >= of.count || isAll) return found;
    near = far;
  }
}

/** Between a time that is too far back to read from and one that gives too few. */
async function closer(
  store: EventStore,
  of: LastEventsOf,
  between: { near: number; far: number; found: StoredEvent[] },
): Promise<StoredEvent[]> {
  let { near, far, found } = between;
  for (let step = 0; step < halvingsMax && near - far > 1; step += 1) {
    const middle = Math.floor((near + far) / 2);
    const tail = await tailFrom(store, of, { timeMs: middle });
    if (!tail.isWhole) far = middle;
    else if (tail.events.length >= of.count) return tail.events;
    else [near, found] = [middle, tail.events];
  }
  const tail = await tailFrom(store, of, { timeMs: far, pageCount: lastPagesMax });
  return tail.isWhole ? tail.events : found;
}

async function tailFrom(
  store: EventStore,
  { topic, count }: LastEventsOf,
  { timeMs, pageCount = pagesMax }: { readonly timeMs: number; readonly pageCount?: number },
): Promise<Tail> {
  let after: Position = timeMs <= 0 ? "earliest" : await store.positionAt(topic, timeMs);
  let events: StoredEvent[] = [];
  for (let page = 0; page < pageCount; page += 1) {
    const read = await readFrom(store, topic, after);
    if (read.next === after) return { events, isWhole: true };
    events = [...events, ...read.events].slice(-count);
    after = read.next;
  }
  return { events, isWhole: false };
}

/** Retention may take what is read from. */
async function readFrom(
  store: EventStore,
  topic: string,
  after: Position,
): Promise<{ readonly events: readonly StoredEvent[]; readonly next: Position }> {
  try {
    return await store.read(topic, after, pageLimit);
  } catch (error) {
    if (!MeshError.is(error, "POSITION_TRIMMED")) throw error;
    return store.read(topic, "earliest", pageLimit);
  }
}
