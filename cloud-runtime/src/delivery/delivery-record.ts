import type { Clock } from "@fleetmesh/core";
import type { DeliveryRecord } from "../store/delivery-store.ts";
import type { Settlement } from "./cursor-tracker.ts";
import type { DeliveryItem } from "./delivery-item.ts";

/** How an event ended whose way can be told later. What is gone from the store has no way to tell. */
export type Recorded = Exclude<Settlement, "trimmed" | "damaged">;

export function isRecorded(settlement: Settlement): settlement is Recorded {
  return settlement !== "trimmed" && settlement !== "damaged";
}

/** What the trace keeps of an event that is settled now. */
export function recordOf(item: DeliveryItem, settlement: Recorded, clock: Clock): DeliveryRecord {
  const durationMs =
    settlement === "expired" || settlement === "filtered"
      ? 0
      : Math.round(clock.monotonicMs() - item.attemptStartMs);
  return {
    subscription: item.subscription,
    topic: item.topic,
    position: item.position,
    outcome: settlement === "deadLettered" ? "dead-lettered" : settlement,
    attempts: item.attempts.length + (settlement === "delivered" ? 1 : 0),
    atMs: Math.round(clock.wallMs()),
    durationMs,
  };
}
