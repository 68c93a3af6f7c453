import { MeshError } from "@fleetmesh/core";
import type { EventStore, StoredEvent } from "../store/event-store.ts";
import type { DeliveryItem } from "./delivery-item.ts";

/** The event of an item that is parked by position; or what became of it. Rejects when the store cannot tell now. */
export async function loadParked(
  store: EventStore,
  item: DeliveryItem,
): Promise<StoredEvent | "trimmed" | "damaged"> {
  try {
    const page = await store.read(item.topic, item.before, { countMax: 1, bytesMax: 1 });
    const [stored] = page.events;
    if (stored?.position === item.position) return stored;
    return page.damaged?.includes(item.position) ? "damaged" : "trimmed";
  } catch (error) {
    if (MeshError.is(error, "POSITION_TRIMMED")) return "trimmed";
    throw error;
  }
}
