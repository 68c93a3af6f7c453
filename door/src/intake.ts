import type { MeshEvent } from "@fleetmesh/core";
import type { Principal } from "./auth/authenticator.ts";

export type DoorKind = "http" | "unix" | "mqtt" | "stdin";

/** What came through a door in one request: already authenticated, permitted on the topic, decoded and within the size limit. */
export interface Submission {
  readonly topic: string;
  readonly events: readonly MeshEvent[];
  readonly principal: Principal;
  readonly door: DoorKind;
}

/**
 * Behind every door: the edge buffer or the region's store.
 * Guarantees: resolves when ALL events are durable where they now are (fsynced); rejects when none may be acknowledged.
 * Errors: TOPIC_UNKNOWN, EVENT_CONFLICT (details.index), BUFFER_FULL, BUFFER_UNAVAILABLE, STORE_UNAVAILABLE, STOPPING, EVENT_TOO_LARGE.
 */
export interface Intake {
  take(submission: Submission): Promise<void>;
}
