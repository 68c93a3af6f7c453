import { compileTopicPattern, MeshError } from "@fleetmesh/core";
import type { Subscription } from "../metadata/metadata.ts";
import type { Cursor, DeliveryCounts } from "../store/delivery-store.ts";
import type { EventStore } from "../store/event-store.ts";

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
  subscription: Pick<Subscription, "id" | "topic">,
  options: { readonly from: StartFrom; readonly known: ReadonlySet<string> },
): Promise<Starts> {
  const isWanted = compileTopicPattern(subscription.topic);
  const cursors: Cursor[] = [];
  const counts: Record<string, number> = {};
  for (const topic of await store.topics()) {
    if (!isWanted(topic) || options.known.has(topic)) continue;
    const bounds = await store.bounds(topic);
    const [position, count] =
      options.from === "latest"
        ? [bounds.latest, bounds.stored]
        : [bounds.earliest, bounds.trimmed];
    cursors.push(startCursor(subscription.id, topic, position));
    counts[topic] = count;
  }
  return { cursors, counts };
}

export function startCursor(subscription: string, topic: string, position: string): Cursor {
  return { subscription, topic, start: position, position, ahead: [], counts: noCounts };
}
