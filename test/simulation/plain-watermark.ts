import type { ClassWatermark, EventClass } from "@fleetmesh/core";
import type { KnownWatermark } from "../../cloud-runtime/src/store/event-store.ts";

/** As an acknowledgement has it, and the agent's buffer. */
export function plainWatermark(known: KnownWatermark): ClassWatermark {
  const { sequence, stored, rejected, evicted, expired, damaged } = known;
  return { sequence, stored, rejected, evicted, expired, damaged };
}

/** The same of every class that is known. */
export function mapClasses<To>(
  known: Readonly<Partial<Record<EventClass, KnownWatermark>>>,
  map: (one: KnownWatermark) => To,
): Partial<Record<EventClass, To>> {
  const entries = Object.entries(known).map(([name, one]) => [name, map(one)] as const);
  return Object.fromEntries(entries);
}
