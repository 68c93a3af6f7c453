import { createHash } from "node:crypto";
import type { DeadLetter } from "../store/delivery-store.ts";
import type { StoredEvent } from "../store/event-store.ts";
import type { DeliveryItem } from "./delivery-item.ts";

export interface GivenUp {
  readonly reason: string;
  readonly atMs: number;
}

/** Sortable by age, and the same when a commit whose answer was lost is made again. */
export function deadLetterOf(
  item: DeliveryItem,
  stored: StoredEvent,
  { reason, atMs }: GivenUp,
): DeadLetter {
  const { subscription, topic, position, attempts } = item;
  const hash = createHash("sha256").update(`${subscription}\0${topic}\0${position}`).digest("hex");
  const wholeMs = Math.max(0, Math.floor(atMs));
  const id = `${wholeMs.toString(36).padStart(9, "0")}-${hash.slice(0, 16)}`;
  const { origin, entry } = stored;
  return { id, subscription, topic, position, atMs: wholeMs, reason, attempts, origin, entry };
}
