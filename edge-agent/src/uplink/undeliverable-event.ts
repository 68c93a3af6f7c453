import type { BlockEntry, EventClass } from "@fleetmesh/core";

/** An event that neither fits the wire format nor is taken by the region, alone in its batch. */
export interface UndeliverableEvent {
  readonly agentId: string;
  readonly epoch: string;
  readonly eventClass: EventClass;
  readonly entry: BlockEntry;
  readonly code: string;
  readonly reason: string;
}
