import { compileTopicPattern, type TopicMatcher } from "@fleetmesh/core";
import type { BridgeConfig } from "./bridge-config.ts";
import type { RegionState } from "./region-link.ts";

/** One topic from one region to another. */
export interface PlannedLink {
  readonly from: string;
  readonly to: string;
  readonly topic: string;
  /** By the receiving region's clock; undefined = a policy asks for all that is kept. */
  readonly sinceMs: number | undefined;
}

export function linkKey({ from, to, topic }: Omit<PlannedLink, "sinceMs">): string {
  return `${from}\n${to}\n${topic}`;
}

/** Every link that is wanted now: what subscriptions ask for, and what the policies list. */
export function planLinks(
  states: ReadonlyMap<string, RegionState>,
  policies: BridgeConfig["topics"],
): Map<string, PlannedLink> {
  const links = new Map<string, PlannedLink>();
  for (const [from, source] of states) {
    for (const [to, target] of states) {
      if (from === to) continue;
      const asked = [...wishesOf(target), ...policyWishes(policies, from, to)];
      for (const topic of source.topics) {
        const matching = asked.filter(({ matches }) => matches(topic));
        if (matching.length === 0) continue;
        const link = { from, to, topic, sinceMs: earliest(matching) };
        links.set(linkKey(link), link);
      }
    }
  }
  return links;
}

interface Wish {
  readonly sinceMs: number | undefined;
  readonly matches: TopicMatcher;
}

function wishesOf(state: RegionState): Wish[] {
  return state.wants.map(({ pattern, sinceMs }) => ({
    sinceMs,
    matches: compileTopicPattern(pattern),
  }));
}

function policyWishes(policies: BridgeConfig["topics"], from: string, to: string): Wish[] {
  return policies
    .filter((policy) => policy.to.includes(to) && (policy.from?.includes(from) ?? true))
    .map(({ topic }) => ({ sinceMs: undefined, matches: compileTopicPattern(topic) }));
}

function earliest(wishes: readonly Wish[]): number | undefined {
  let first: number | undefined;
  for (const { sinceMs } of wishes) {
    if (sinceMs === undefined) return undefined;
    first = Math.min(first ?? sinceMs, sinceMs);
  }
  return first;
}
