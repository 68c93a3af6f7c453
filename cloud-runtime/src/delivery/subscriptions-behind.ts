import { compileTopicPattern } from "@fleetmesh/core";
import type { Metadata } from "../metadata/metadata.ts";
import type { Dispatcher } from "./dispatcher.ts";
import type { SubscriptionRunner } from "./subscription-runner.ts";

/**
 * Subscriptions that have not had all of a topic's first `stored` events yet, or have some of them in hand; those that are paused or
 * disabled, too. What the others have settled is durable when this resolves.
 */
export async function subscriptionsBehind(
  { dispatcher, metadata }: { readonly dispatcher: Dispatcher; readonly metadata: Metadata },
  topic: string,
  stored: number,
): Promise<string[]> {
  if (stored === 0) return [];
  await dispatcher.settled();
  const behind: string[] = [];
  for (const { id, topic: pattern } of metadata.subscriptions()) {
    if (!compileTopicPattern(pattern)(topic)) continue;
    const runner = dispatcher.runner(id);
    if (!runner || !hasAll(runner, topic, stored)) behind.push(id);
  }
  await dispatcher.flush();
  return behind;
}

function hasAll(runner: SubscriptionRunner, topic: string, stored: number): boolean {
  const feed = runner.feeds.get(topic);
  if (!feed || feed.inHandCount > 0 || feed.index < stored) return false;
  runner.settledApart(feed);
  return true;
}
