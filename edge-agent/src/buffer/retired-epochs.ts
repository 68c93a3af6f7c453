import { readFileSync } from "node:fs";
import {
  emptyWatermark,
  eventClasses,
  type ClassWatermark,
  type EventClass,
} from "@fleetmesh/core";
import { z } from "zod";
import type { BufferStats } from "./buffer.ts";
import { replaceDurably } from "./identity-file.ts";

/** What became of events, by class; all of them are handled: `sequence` is how many there were. */
export type HandledCounts = Readonly<Record<EventClass, ClassWatermark>>;

const count = z.int().min(0);
const watermark = z.object({
  ...{ sequence: count, stored: count, rejected: count },
  ...{ evicted: count, expired: count, damaged: count },
});
const counts = z.object({ critical: watermark, normal: watermark, bulk: watermark });
const stored = z.object({
  older: counts,
  epochs: z.array(z.object({ epoch: z.string(), counts })),
});

export const nothingHandled: HandledCounts = {
  ...{ critical: emptyWatermark, normal: emptyWatermark, bulk: emptyWatermark },
};

interface RetiredEpoch {
  readonly epoch: string;
  readonly counts: HandledCounts;
}

/** So many are known by name, in case that their buffer comes back; those before are one sum. */
const epochsKeptMax = 64;

/**
 * The sums of epochs whose buffers are gone, in a small file beside them: the agent's ledger goes back to its first event.
 * Guarantees: an epoch counts once, over crashes too, and is durable when `add` returns. A file that does not read back counts
 * as none: the ledger then begins anew, and balances.
 */
export class RetiredEpochs {
  readonly #file: string;
  #older: HandledCounts = nothingHandled;
  #epochs: readonly RetiredEpoch[] = [];

  constructor(file: string) {
    this.#file = file;
    try {
      const known = stored.parse(JSON.parse(readFileSync(file, "utf8")));
      [this.#older, this.#epochs] = [known.older, known.epochs];
    } catch {
      // None yet, or none any more.
    }
  }

  /** Without those that are not gone, or came back. */
  counts(live: readonly string[]): HandledCounts {
    const gone = this.#epochs.filter(({ epoch }) => !live.includes(epoch));
    return gone.reduce((sum, one) => sumOf(sum, one.counts), this.#older);
  }

  /** Before what it was counted from is deleted. Throws what the disk throws, and has added nothing then. */
  add(epoch: string, counts: HandledCounts): void {
    const epochs = this.#epochs.filter((one) => one.epoch !== epoch);
    epochs.push({ epoch, counts });
    const oldest = epochs.length > epochsKeptMax ? epochs.shift() : undefined;
    const older = oldest ? sumOf(this.#older, oldest.counts) : this.#older;
    replaceDurably(this.#file, JSON.stringify({ older, epochs }));
    [this.#older, this.#epochs] = [older, epochs];
  }
}

/** What became of a buffer's events, as far as the region has confirmed it. */
export function handledIn({ classes }: BufferStats): HandledCounts {
  const { critical, normal, bulk } = classes;
  return { critical: critical.confirmed, normal: normal.confirmed, bulk: bulk.confirmed };
}

function sumOf(one: HandledCounts, other: HandledCounts): HandledCounts {
  const sum = { ...one };
  for (const name of eventClasses) {
    const [a, b] = [one[name], other[name]];
    sum[name] = {
      sequence: a.sequence + b.sequence,
      stored: a.stored + b.stored,
      rejected: a.rejected + b.rejected,
      evicted: a.evicted + b.evicted,
      expired: a.expired + b.expired,
      damaged: a.damaged + b.damaged,
    };
  }
  return sum;
}
