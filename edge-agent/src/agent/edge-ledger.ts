import { eventClasses, type ClassWatermark, type EventClass } from "@fleetmesh/core";
import type { BufferStats, ClassStats, EventBuffer } from "../buffer/buffer.ts";
import type { HandledCounts } from "../buffer/retired-epochs.ts";

/** Where the events of one class of one epoch are. `difference` is what nobody can account for: always 0 at rest. */
export interface LedgerLine {
  readonly produced: number;
  readonly stored: number;
  readonly queued: number;
  readonly expired: number;
  readonly evicted: number;
  readonly filtered: number;
  readonly rejected: number;
  /** Lost with a damaged buffer. */
  readonly lost: number;
  readonly difference: number;
}

export interface EpochLedger {
  readonly epoch: string;
  readonly isCurrent: boolean;
  readonly classes: Readonly<Record<EventClass, LedgerLine>>;
}

export interface EdgeLedger {
  readonly agentId: string;
  /** Over the agent's whole life. */
  readonly total: LedgerLine;
  /** Of epochs whose buffers were salvaged and are gone. */
  readonly retired: Readonly<Record<EventClass, LedgerLine>>;
  readonly epochs: readonly EpochLedger[];
}

export interface LedgerSource {
  readonly buffer: Pick<EventBuffer, "epoch">;
  readonly stats: BufferStats;
  readonly isCurrent: boolean;
}

/** produced = stored + queued + expired + evicted + filtered + rejected + lost, per class and epoch, from one reading of each buffer. */
export function edgeLedger(
  agentId: string,
  { sources, retired: gone }: { sources: readonly LedgerSource[]; retired: HandledCounts },
): EdgeLedger {
  const retired = {
    critical: handledLine(gone.critical),
    normal: handledLine(gone.normal),
    bulk: handledLine(gone.bulk),
  };
  const epochs = sources.map(({ buffer, stats: { classes }, isCurrent }) => ({
    epoch: buffer.epoch,
    isCurrent,
    classes: {
      critical: lineOf(classes.critical),
      normal: lineOf(classes.normal),
      bulk: lineOf(classes.bulk),
    },
  }));
  const all = [retired, ...epochs.map(({ classes }) => classes)];
  const lines = all.flatMap((classes) => eventClasses.map((name) => classes[name]));
  return { agentId, total: sumOf(lines), retired, epochs };
}

function handledLine({ sequence, damaged, ...counts }: ClassWatermark): LedgerLine {
  return closed({ ...counts, produced: sequence, queued: 0, filtered: 0, lost: damaged });
}

function lineOf({ produced, confirmed, queuedEvents, gaps }: ClassStats): LedgerLine {
  return closed({
    produced,
    stored: confirmed.stored,
    queued: queuedEvents,
    expired: confirmed.expired + gaps.expired,
    evicted: confirmed.evicted + gaps.evicted,
    filtered: 0,
    rejected: confirmed.rejected,
    lost: confirmed.damaged + gaps.damaged,
  });
}

function sumOf(lines: readonly LedgerLine[]): LedgerLine {
  const sum = (of: (line: LedgerLine) => number): number =>
    lines.reduce((total, line) => total + of(line), 0);
  return closed({
    produced: sum((line) => line.produced),
    stored: sum((line) => line.stored),
    queued: sum((line) => line.queued),
    expired: sum((line) => line.expired),
    evicted: sum((line) => line.evicted),
    filtered: sum((line) => line.filtered),
    rejected: sum((line) => line.rejected),
    lost: sum((line) => line.lost),
  });
}

function closed(line: Omit<LedgerLine, "difference">): LedgerLine {
  const { produced, stored, queued, expired, evicted, filtered, rejected, lost } = line;
  const difference = produced - stored - queued - expired - evicted - filtered - rejected - lost;
  return { ...line, difference };
}
