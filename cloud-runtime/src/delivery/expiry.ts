import type { MeshEvent } from "@fleetmesh/core";

/** A wall clock that shows less was never set: nothing expires on it. */
const clockSetMs = Date.UTC(2025, 0, 1);

/** CloudEvents `expirytime` extension against the region's clock. A text that is no time never expires. */
export function isExpired(event: MeshEvent, wallMs: number): boolean {
  for (const [name, value] of event.extensions) {
    if (name !== "expirytime" || typeof value !== "string") continue;
    return wallMs > clockSetMs && Date.parse(value) < wallMs;
  }
  return false;
}
