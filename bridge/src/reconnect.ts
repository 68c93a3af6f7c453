import type { BackoffRange } from "@fleetmesh/core";

/** How a link comes back to a region that did not answer. */
export const reconnect: BackoffRange = { initialMs: 100, maxMs: 10_000, floor: 0.2 };
