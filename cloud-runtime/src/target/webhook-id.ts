import { hash } from "node:crypto";
import type { MeshEvent } from "@fleetmesh/core";

export interface EventIdentity {
  /** The same for every attempt of this event and subscription. */
  readonly webhookId: string;
  /** A trace id for events that brought none: the same in all attempts. */
  readonly traceId: string;
}

/** NUL cannot be part of an attribute, so no two identities run together. */
export function eventIdentity(event: MeshEvent, subscription: string): EventIdentity {
  // The one-shot form costs a third of a Hash object; this runs for every delivery.
  const digest = hash("sha256", `${event.source}\0${event.id}\0${subscription}`, "hex");
  return { webhookId: `msg_${digest.slice(0, 32)}`, traceId: digest.slice(32) };
}
