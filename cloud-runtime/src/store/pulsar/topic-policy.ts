import type { TopicPolicy } from "@fleetmesh/pulsar";
import type { Retention } from "../shared/retention.ts";

/** Of a topic of the metadata, with its schema. */
export function specPolicy(
  spec: Retention & { readonly schema?: string | undefined },
): TopicPolicy {
  return { ...topicPolicy(spec), properties: { schema: spec.schema ?? "" } };
}

/** Pulsar keeps a quarter longer than we count, so that nothing that counts is ever missing. */
export function topicPolicy({ retentionMs, retentionBytes }: Retention): TopicPolicy {
  return {
    retentionMs: Math.ceil(retentionMs * 1.25),
    retentionBytes: Math.ceil(retentionBytes * 1.25),
  };
}
