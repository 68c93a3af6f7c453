import { MeshError, type Clock } from "@fleetmesh/core";
import { parseMessageId, type MessageId, type ReplicationStart } from "@fleetmesh/pulsar";
import type { PlannedLink } from "../link-plan.ts";
import { startPosition } from "../link-start.ts";
import type { RegionLink } from "../region-link.ts";
import type { GeoLink } from "./geo-link.ts";
import type { GeoRegion } from "./geo-region.ts";

export interface GeoStartPorts {
  readonly origin: GeoRegion;
  /** Undefined for a region that is not of the mesh. */
  readonly linkOf: (region: string) => RegionLink | undefined;
  readonly clock: Clock;
}

/** The note on a topic that tells where a link was when it was withdrawn. */
export function leftNote(cluster: string): string {
  return `mesh.left.${cluster}`;
}

/**
 * Where a link begins. Where it was, if it ever was: as seen a moment ago, as noted when it was withdrawn, or as far as an
 * embedded link had come before. Otherwise with the wish: nothing published since is missed.
 */
export async function geoStart(
  { link, cluster, place }: GeoLink,
  ports: GeoStartPorts,
  signal: AbortSignal,
): Promise<ReplicationStart> {
  if (place !== undefined) return place;
  const noted = await ports.origin.replication.note(link.topic, leftNote(cluster));
  if (noted !== undefined) return parseMessageId(noted);
  const [from, to] = [ports.linkOf(link.from), ports.linkOf(link.to)];
  if (from === undefined || to === undefined)
    throw new MeshError("LINK_UNAVAILABLE", `${link.from} or ${link.to} is not of the mesh`);
  const { cursor } = await to.cursor(link.from, link.topic, signal);
  const carried = cursor === undefined ? undefined : messageIdOf(cursor);
  if (carried !== undefined) return carried;
  return wishStart(link, { from, to, clock: ports.clock }, signal);
}

async function wishStart(
  link: PlannedLink,
  ends: { readonly from: RegionLink; readonly to: RegionLink; readonly clock: Clock },
  signal: AbortSignal,
): Promise<ReplicationStart> {
  if (link.sinceMs === undefined) return "earliest";
  return parseMessageId(await startPosition(link, ends, signal));
}

/** Undefined for a place of a store that the origin had before it had a Pulsar. */
function messageIdOf(position: string): MessageId | undefined {
  try {
    return parseMessageId(position);
  } catch (error) {
    if (MeshError.is(error, "POSITION_INVALID")) return undefined;
    throw error;
  }
}
