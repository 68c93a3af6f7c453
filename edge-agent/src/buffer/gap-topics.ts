/** How many events per topic a gap stands for. */
export type TopicCounts = Readonly<Record<string, number>>;

const topicCountMax = 256;

/** The sum of two; names beyond the bound are left out, because a gap's total does not depend on them. */
export function mergeTopics(one: TopicCounts, other: TopicCounts): Record<string, number> {
  const merged: Record<string, number> = { ...one };
  let nameCount = Object.keys(merged).length;
  for (const [topic, count] of Object.entries(other)) {
    const known = merged[topic];
    if (known === undefined && nameCount >= topicCountMax) continue;
    if (known === undefined) nameCount += 1;
    merged[topic] = (known ?? 0) + count;
  }
  return merged;
}

/** The counts of a part of a gap: nobody knows which events were whose, so each topic keeps its share, rounded down. */
export function shareOfTopics(topics: TopicCounts, share: number): Record<string, number> {
  const left: Record<string, number> = {};
  for (const [topic, count] of Object.entries(topics)) {
    const rest = Math.floor(count * share);
    if (rest > 0) left[topic] = rest;
  }
  return left;
}
