import type { EventClass } from "@fleetmesh/core";
import type { BufferDamage } from "../buffer/buffers.ts";
import type { BufferStats } from "../buffer/buffer.ts";
import type { LedgerLine } from "../agent/edge-ledger.ts";
import type { UplinkCount } from "../uplink/uplink-counts.ts";
import type { UplinkStatus } from "../uplink/uplink.ts";

/** `/status.json`: what an operator beside the vehicle wants to know first. Times are wall clock, milliseconds since 1970. */
export interface AgentStatus {
  readonly agentId: string;
  readonly epoch: string;
  readonly nowMs: number;
  readonly startedMs: number;
  readonly uplink: UplinkStatus & {
    readonly region: string;
    readonly counts: Readonly<Record<UplinkCount, number>>;
    readonly bytesByTopic: Readonly<Record<string, number>>;
  };
  readonly buffer: Pick<BufferStats, "bytes" | "bytesMax" | "unavailable"> & {
    readonly classes: Readonly<Record<EventClass, ClassLine>>;
    readonly salvagedCount: number;
    readonly damages: readonly BufferDamage[];
  };
  readonly doors: Readonly<Record<string, string>>;
  readonly ledger: LedgerLine;
}

export interface ClassLine {
  readonly queuedEvents: number;
  readonly queuedBytes: number;
  readonly oldestMs: number | undefined;
  readonly produced: number;
  readonly confirmed: number;
  readonly evicted: number;
  readonly expired: number;
}

export function classLine(stats: BufferStats, name: EventClass): ClassLine {
  const { queuedEvents, queuedBytes, oldestMs, produced, confirmed, gaps } = stats.classes[name];
  const evicted = confirmed.evicted + gaps.evicted;
  const expired = confirmed.expired + gaps.expired;
  const line = { queuedEvents, queuedBytes, oldestMs, produced };
  return { ...line, confirmed: confirmed.sequence, evicted, expired };
}
