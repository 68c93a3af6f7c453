import type { TopicDrift, TopicPolicy } from "./pulsar-admin.ts";

const minuteMs = 60_000;
const megabyte = 1024 * 1024;
/** Pulsar's word for "without end". */
const endless = -1;

/** A topic's settings in Pulsar's units. Undefined: not set on the topic itself. */
export interface TopicSettings {
  readonly retentionMinutes: number | undefined;
  readonly retentionMegabytes: number | undefined;
  readonly clusters: readonly string[] | undefined;
  readonly compactionBytes: number | undefined;
  readonly properties: Readonly<Record<string, string>>;
}

/** Rounded up: nothing goes sooner than was asked for, and never at once (0 would mean that nothing is kept). */
export function settingsOf(policy: TopicPolicy): TopicSettings {
  const { retentionMs, retentionBytes, replicateTo, compactionBytes, properties } = policy;
  return {
    retentionMinutes: unitsOf(retentionMs, minuteMs),
    retentionMegabytes: unitsOf(retentionBytes, megabyte),
    clusters: replicateTo === undefined ? undefined : [...replicateTo].sort(),
    compactionBytes,
    properties: properties ?? {},
  };
}

/** What differs, in the policy's own fields and units. */
export function driftOf(policy: TopicPolicy, found: TopicSettings): TopicDrift[] {
  const wanted = settingsOf(policy);
  const drift: TopicDrift[] = [];
  const compare = (field: keyof TopicPolicy, isSame: boolean, now: unknown): void => {
    if (!isSame) drift.push({ field, wanted: policy[field], found: now });
  };
  const { retentionMinutes, retentionMegabytes, clusters, compactionBytes } = found;
  const foundMs = amountOf(retentionMinutes, minuteMs);
  const foundBytes = amountOf(retentionMegabytes, megabyte);
  compare("retentionMs", wanted.retentionMinutes === retentionMinutes, foundMs);
  compare("retentionBytes", wanted.retentionMegabytes === retentionMegabytes, foundBytes);
  const hasClusters = wanted.clusters === undefined || isSameList(wanted.clusters, clusters);
  compare("replicateTo", hasClusters, clusters);
  compare("compactionBytes", wanted.compactionBytes === compactionBytes, compactionBytes);
  const hasProperties = policy.properties === undefined || isSameText(wanted, found);
  compare("properties", hasProperties, found.properties);
  return drift;
}

function unitsOf(amount: number | undefined, unit: number): number {
  return amount === undefined ? endless : Math.max(1, Math.ceil(amount / unit));
}

/** What Pulsar keeps, as the policy would say it; "not set" is what the namespace says, mostly nothing at all. */
function amountOf(units: number | undefined, unit: number): number | undefined | "not set" {
  if (units === undefined) return "not set";
  return units < 0 ? undefined : units * unit;
}

function isSameList(one: readonly string[], other: readonly string[] | undefined) {
  return one.join("\n") === (other === undefined ? undefined : [...other].sort().join("\n"));
}

function isSameText({ properties: one }: TopicSettings, { properties: other }: TopicSettings) {
  return Object.entries(one).every(([name, text]) => (other[name] ?? "") === text);
}
