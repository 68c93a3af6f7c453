import type { Chance, Clock, EventClass, Logger } from "@fleetmesh/core";

/** What the buffer does with an append that does not fit. */
export type WhenBufferFull = "evict-lowest-class" | "reject";

export interface BufferLimits {
  /** Bytes of the file's pages in use. The write-ahead log (a few MiB) and the reserve come on top. */
  readonly bytesMax: number;
  readonly whenFull: WhenBufferFull;
  /** How long an event of a class has value, counted from when the door took it; absent = for ever. */
  readonly ttlMs?: Readonly<Partial<Record<EventClass, number>>>;
  /** How many of the last events are known again when they are sent again; 0 = none. Absent = the default. */
  readonly repeatWindow?: number;
}

export const repeatWindowDefault = 20_000;

/** Bounds of one commit: what arrives while one runs goes into the next. */
export interface GroupLimits {
  readonly countMax: number;
  readonly bytesMax: number;
  /** Bytes of appends that wait for the disk, all groups together; more is refused. */
  readonly waitingBytesMax: number;
}

export interface SqliteBufferOptions {
  /** A folder of the buffer's own; made when it is missing. */
  readonly directory: string;
  readonly agentId: string;
  readonly limits: BufferLimits;
  readonly clock: Clock;
  readonly chance: Chance;
  readonly logger: Logger;
  readonly group?: Partial<GroupLimits>;
  /** Called for each event that is known already and is not stored again. */
  readonly onRepeated?: (topic: string) => void;
  /** How long an acknowledgement may wait for an append to share a commit with. */
  readonly ackDelayMs?: number;
  /** Kept on the disk so that deleting works when it is full. */
  readonly reserveBytes?: number;
  /** `off` never syncs: only for the test that proves the power-cut layer. */
  readonly durability?: "full" | "off";
  /** Whether a file that was copied from elsewhere is refused as BUFFER_DAMAGED. */
  readonly isPlaceChecked?: boolean;
}

export const groupLimitsDefault: GroupLimits = {
  countMax: 8_192,
  bytesMax: 4 * 1024 * 1024,
  waitingBytesMax: 32 * 1024 * 1024,
};
export const ackDelayMsDefault = 50;
export const reserveBytesDefault = 8 * 1024 * 1024;
