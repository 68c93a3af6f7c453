import { MeshError, nearestName } from "@fleetmesh/core";
import type { Principal } from "@fleetmesh/door";
import type { Metadata } from "../metadata/metadata.ts";

/**
 * The topic must exist, or come into being where the mesh is so configured.
 * Throws TOPIC_UNKNOWN with the nearest name among those this principal may see, STORE_UNAVAILABLE.
 */
export async function admitTopicFor(
  metadata: Metadata,
  principal: Principal,
  topic: string,
): Promise<void> {
  if (metadata.topic(topic) !== undefined) return;
  try {
    await metadata.admitTopic(topic);
  } catch (error) {
    if (!MeshError.is(error, "TOPIC_UNKNOWN")) throw error;
    throw unknownTopic(metadata, principal, topic);
  }
}

/** Names that the token may not see are not offered. */
export function unknownTopic(metadata: Metadata, principal: Principal, topic: string): MeshError {
  const visible = metadata
    .topics()
    .map(({ name }) => name)
    .filter((name) => principal.mayPublish(name) || principal.maySubscribe(name));
  const nearest = nearestName(topic, visible);
  const hint = nearest === undefined ? {} : { hint: `Did you mean "${nearest}"?` };
  const details = nearest === undefined ? {} : { details: { nearest: [nearest] } };
  return new MeshError("TOPIC_UNKNOWN", `There is no topic "${topic}"`, { ...hint, ...details });
}
