import type { TopicCounts } from "./gap-topics.ts";

/** One topic's part of a block. */
export interface TopicShare {
  readonly topic: string;
  readonly events: number;
  /** Of the block's bytes, rounded down. */
  readonly bytes: number;
}

/** Events and encoded bytes of one topic, as a block is filled. */
export interface TopicWeight {
  events: number;
  bytes: number;
}

/** What a block's row says of its topics: `{"a":3}` for a single one, `{"a":[3,512],"b":[1,80]}` with bytes for several. */
export function blockTopicsText(weights: ReadonlyMap<string, TopicWeight>): string {
  const isAlone = weights.size === 1;
  const parts = [...weights].map(([topic, { events, bytes }]) => [
    topic,
    isAlone ? events : [events, bytes],
  ]);
  return JSON.stringify(Object.fromEntries(parts));
}

/** How a block's bytes are shared among its topics. Text that does not parse costs the shares, never the block. */
export function blockShares(text: string, blockBytes: number): TopicShare[] {
  const parts = partsOf(text);
  const total = parts.reduce((sum, { weight }) => sum + weight, 0);
  return parts.map(({ topic, events, weight }) => ({
    topic,
    events,
    bytes: total === 0 ? 0 : Math.floor((blockBytes * weight) / total),
  }));
}

export function blockCounts(text: string): TopicCounts {
  return Object.fromEntries(partsOf(text).map(({ topic, events }) => [topic, events]));
}

interface Part {
  readonly topic: string;
  readonly events: number;
  readonly weight: number;
}

function partsOf(text: string): Part[] {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return [];
  }
  if (typeof parsed !== "object" || parsed === null) return [];
  return Object.entries(parsed).flatMap(([topic, value]: [string, unknown]) => {
    const [events, weight] = Array.isArray(value) ? (value as unknown[]) : [value, value];
    const isSound = typeof events === "number" && typeof weight === "number";
    return isSound ? [{ topic, events, weight }] : [];
  });
}
