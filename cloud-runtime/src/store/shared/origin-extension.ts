import { withExtension, type MeshEvent } from "@fleetmesh/core";

/** Where an event entered the mesh, for subscribers in other regions. */
export const originExtension = "meshorigin";

/** The attribute is replaced when the publisher set one of that name: who reads it must be able to trust it. */
export function withOrigin(event: MeshEvent, region: string): MeshEvent {
  return withExtension(event, originExtension, region);
}
