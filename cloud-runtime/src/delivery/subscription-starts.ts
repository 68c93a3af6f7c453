import { compileTopicPattern, MeshError } from "@fleetmesh/core";
import type { Subscription } from "../metadata/metadata.ts";
import type { Cursor, DeliveryCounts } from "../store/delivery-store.ts";
import type { EventStore, GroupStart } from "../store/event-store.ts";
import type { GroupPlace } from "../store/shared/group-place.ts";

export type StartFrom = "latest" | "earliest";

export interface Starts {
  readonly cursors: readonly Cursor[];
  /** See Subscription.starts. */
  readonly counts: Readonly<Record<string, number>>;
}

export function totalOf(counts: DeliveryCounts): number {
  const { delivered, filtered, expired, deadLettered, trimmed, damaged } = counts;
  return delivered + filtered + expired + deadLettered + trimmed + damaged;
}

export const noCounts: DeliveryCounts = {
  ...{ delivered: 0, filtered: 0, expired: 0, deadLettered: 0, trimmed: 0, damaged: 0 },
};

/** None while the store is not there: it tells of what it has when it is. */
export async function storedTopics(store: EventStore): Promise<string[]> {
  try {
    return await store.topics();
  } catch (error) {
    if (!MeshError.is(error, "STORE_UNAVAILABLE")) throw error;
    return [];
  }
}

/** Where a subscription begins in each topic that exists now and is not in `known`. */
export async function startsOf(
  store: EventStore,
  subscription: Pick<Subscription, "id" | "topic" | "continues">,
  options: { readonly from: StartFrom; readonly known: ReadonlySet<string> },
): Promise<Starts> {
  const isWanted = compileTopicPattern(subscription.topic);
  const cursors: Cursor[] = [];
  const counts: Record<string, number> = {};
  for (const topic of await store.topics()) {
    if (!isWanted(topic) || options.known.has(topic)) continue;
    const place = subscription.continues?.[topic];
    const { position, count } = place
      ? await startBehind(store, topic, place)
      : await startAt(store, topic, options.from);
    cursors.push(startCursor(subscription.id, topic, position));
    counts[topic] = count;
  }
  return { cursors, counts };
}

async function startAt(store: EventStore, topic: string, from: StartFrom): Promise<GroupStart> {
  const { latest, earliest, stored, trimmed } = await store.bounds(topic);
  return from === "latest"
    ? { position: latest, count: stored }
    : { position: earliest, count: trimmed };
}

/** A store that could not hear of places any more gives everything: what was given already has its identity. */
async function startBehind(
  store: EventStore,
  topic: string,
  place: GroupPlace,
): Promise<GroupStart> {
  return (await store.groups?.start(topic, place)) ?? startAt(store, topic, "earliest");
}

/** Of a topic that came into being after the subscription, which takes it from its first event on. */
export async function firstCursor(store: EventStore, id: string, topic: string): Promise<Cursor> {
  const { earliest, trimmed } = await store.bounds(topic);
  const cursor = startCursor(id, topic, earliest);
  return { ...cursor, counts: { ...cursor.counts, trimmed } };
}

export function startCursor(subscription: string, topic: string, position: string): Cursor {
  return { subscription, topic, start: position, position, ahead: [], counts: noCounts };
}
