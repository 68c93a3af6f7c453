import type { Part } from "@fleetmesh/core";
import type { EventBuffer } from "./buffer.ts";
import type { HandledCounts } from "./retired-epochs.ts";

export interface BufferDamage {
  /** Wall clock when it was found. */
  readonly atMs: number;
  readonly reason: string;
  /** Where the damaged file was put; undefined when it could not be moved. */
  readonly movedTo: string | undefined;
}

/**
 * All buffers of one agent: the one that takes appends, and those salvaged from damaged files, which are only drained.
 *
 * Guarantees
 * - When the current file turns out damaged, while running too, it is moved aside, a fresh one with a new epoch takes over
 *   at once, and what is readable in the old one comes back as a salvaged buffer under its old identity. Appends that were
 *   in flight fail with BUFFER_DAMAGED or BUFFER_UNAVAILABLE; what was acknowledged is in the salvaged buffer, or counted
 *   in a `damaged` gap there.
 * - A salvaged buffer refuses appends and goes away by itself when everything in it is acknowledged; what became of its events
 *   stays in `retired`, durably, and is never there and in `salvaged` at once.
 * - `start` resolves when the disk cannot be used yet, too: `current` then has no epoch ("") and refuses appends with
 *   BUFFER_UNAVAILABLE until it can.
 * - A file that was copied or restored from elsewhere is recognised when it is opened: nothing is appended to it, its events
 *   are drained under their old identity, exactly once together with the original's.
 */
export interface Buffers extends Part {
  /** Takes appends now. Ask again after each change: it is another object, of another epoch, after damage. */
  readonly current: EventBuffer;
  /** Oldest first. */
  readonly salvaged: readonly EventBuffer[];
  /** What became of the events of epochs that are gone from here, since the agent's first. */
  readonly retired: HandledCounts;
  /** Damage found since start, newest last, at most 16. */
  readonly damages: readonly BufferDamage[];
  /** Calls back when `current` or `salvaged` changed. */
  onChanged(listener: () => void): void;
  /**
   * Another buffer uses this one's numbers. When `buffer` is `current`: a fresh buffer with a new epoch takes over at once, and
   * what was not acknowledged comes back as a salvaged buffer with a new epoch too. A salvaged one comes back so as well. Events
   * keep the ids that they came with; those that the agent made are of the new epoch. No acknowledged event is lost by it;
   * what the region had stored without saying so is stored once more. At most once in half a minute. Never rejects.
   */
  renew(buffer: EventBuffer, reason: string): Promise<void>;
}
