import type { Chance, Clock, Logger } from "@fleetmesh/core";
import type { BridgeMetrics } from "../bridge-metrics.ts";
import type { RegionLink } from "../region-link.ts";
import type { GeoRegion } from "./geo-region.ts";

/** What every part of replication by Pulsar works with. */
export interface GeoPorts {
  readonly clock: Clock;
  readonly chance: Chance;
  readonly logger: Logger;
  readonly metrics: BridgeMetrics;
  readonly reconcileMs: number;
  readonly graceMs: number;
  /** Undefined for a region that is not of the mesh. */
  readonly linkOf: (region: string) => RegionLink | undefined;
  /** All regions with a Pulsar, those that leave among them. */
  readonly regions: () => readonly GeoRegion[];
  /** True once the region's wishes are known; before, nothing is withdrawn from it. */
  readonly isKnown: (region: string) => boolean;
  readonly isLeaving: (region: string) => boolean;
}
