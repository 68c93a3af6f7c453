import type { BackoffRange } from "@fleetmesh/core";

/** Bounds of the uplink. Every wait and every queue of it has one. */
export interface UplinkLimits {
  /** About how many bytes of stored events a batch holds at most. */
  readonly batchBytesMax: number;
  readonly batchEventsMax: number;
  /** How long a live event may wait for company. 0 = never. */
  readonly lingerMs: number;
  /** Bytes and batches sent and not yet taken by the region. The region's credit lowers the bytes further. */
  readonly windowBytesMax: number;
  readonly windowBatchesMax: number;
  /** The window shrinks while a batch takes longer than this: a slow link must not make live events wait behind a backlog. */
  readonly roundTripTargetMs: number;
  /** A batch that the region has not taken by then means a dead connection. */
  readonly takenTimeoutMs: number;
  /** A batch taken, but not confirmed by then, is sent again; also the wait for the answer to a hello. */
  readonly ackTimeoutMs: number;
  readonly reconnect: BackoffRange;
  /** After the region refused this agent or this epoch. */
  readonly refusedRetry: BackoffRange;
}

export const uplinkLimitsDefault: UplinkLimits = {
  batchBytesMax: 192 * 1024,
  batchEventsMax: 2_000,
  lingerMs: 5,
  windowBytesMax: 4 * 1024 * 1024,
  windowBatchesMax: 32,
  roundTripTargetMs: 150,
  takenTimeoutMs: 15_000,
  ackTimeoutMs: 10_000,
  reconnect: { initialMs: 250, maxMs: 30_000 },
  refusedRetry: { initialMs: 2_000, maxMs: 60_000 },
};

/** A single large event has the time that it takes on an uplink as slow as this: 64 KiB/s. */
export const slowUplinkBytesPerMs = 65.536;
