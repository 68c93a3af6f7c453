import type { Subscription } from "../metadata/metadata.ts";
import type { EventStore } from "../store/event-store.ts";
import type { FeedGroup } from "./feed.ts";
import { GroupProgress } from "./group-progress.ts";

/** Undefined for a subscription that stays in its region. */
export async function groupOf(
  store: EventStore,
  { id, replicated, continues, createdMs }: Subscription,
  topic: string,
): Promise<FeedGroup | undefined> {
  const passed = continues?.[topic];
  if (replicated !== true && !passed) return undefined;
  const { groups } = store;
  if (replicated !== true || !groups)
    return { progress: new GroupProgress({ passed }), isTold: false };
  const known = await groups.told(id);
  const own = known.find((each) => each.topic === topic && each.isOwn)?.place;
  // What was told of one with this id that is gone says nothing of this one.
  const told = own && own.atMs >= createdMs ? own : undefined;
  return { progress: new GroupProgress({ passed, told }), isTold: true };
}
