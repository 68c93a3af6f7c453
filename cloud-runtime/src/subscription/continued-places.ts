import { compileTopicPattern, MeshError } from "@fleetmesh/core";
import type { Subscription } from "../metadata/metadata.ts";
import type { EventStore } from "../store/event-store.ts";
import type { GroupPlace } from "../store/shared/group-place.ts";

/** By topic, where the group of this subscription was when a region last told it. Throws SUBSCRIPTION_INVALID when none has. */
export async function continuedPlaces(
  store: EventStore,
  { id, topic: pattern }: Pick<Subscription, "id" | "topic">,
): Promise<Readonly<Record<string, GroupPlace>>> {
  assertTellsGroups(store, "start");
  const isWanted = compileTopicPattern(pattern);
  const newest = new Map<string, GroupPlace>();
  for (const { topic, place } of (await store.groups?.told(id)) ?? [])
    if (isWanted(topic) && place.atMs > (newest.get(topic)?.atMs ?? -Infinity))
      newest.set(topic, place);
  if (newest.size > 0) return Object.fromEntries(newest);
  const text = `start: no region has told this one where the group of "${id}" is in ${pattern}`;
  throw new MeshError("SUBSCRIPTION_INVALID", text, {
    hint: "It takes `replicated: true` on the subscription there, and its topics must have been coming to this region already; else start at latest or earliest.",
  });
}

/** Throws SUBSCRIPTION_INVALID for a store that hears nothing of other regions' groups. */
export function assertTellsGroups(store: EventStore, field: string): void {
  if (store.groups) return;
  const text = `${field}: regions tell each other where groups are through Pulsar, and this one has no Pulsar`;
  throw new MeshError("SUBSCRIPTION_INVALID", text);
}
