import type { MeshEvent } from "@fleetmesh/core";

/** Names the regions, with commas between, that an event may be replicated to; without it, all that want it. */
const regionsExtension = "meshregions";

/** False when the event names the regions that it is for, and this one, or none that is known, is not among them. */
export function isMeantFor(event: MeshEvent, region: string | undefined): boolean {
  const named = event.extensions.find(([name]) => name === regionsExtension)?.[1];
  if (named === undefined) return true;
  const regions = String(named).split(",");
  return region !== undefined && regions.some((name) => name.trim() === region);
}
