import { expect } from "vitest";
import {
  emptyWatermark,
  type ClassWatermark,
  type EventClass,
  type Segment,
} from "@fleetmesh/core";
import type { AppendItem, EventBuffer, ReadRequest } from "@fleetmesh/edge-agent";

/** When the first event of the tests was taken. */
export const startMs = Date.UTC(2026, 0, 1);

export function itemOf(
  index: number,
  more: Partial<AppendItem> & { bytes?: number; topic?: string } = {},
): AppendItem {
  const { bytes = 64, topic = "vehicle.telemetry", eventClass = "normal", expiresMs } = more;
  return {
    eventClass,
    expiresMs,
    entry: {
      topic,
      receivedMs: startMs + index,
      event: {
        id: `event-${index}`,
        source: "urn:vehicle:1",
        type: "reading",
        subject: undefined,
        time: undefined,
        datacontenttype: "application/json",
        dataschema: undefined,
        extensions: [["partitionkey", "k"]],
        data: new TextEncoder().encode(String(index).padEnd(bytes, " ")),
        dataKind: "json",
      },
    },
  };
}

export const itemsOf = (
  from: number,
  count: number,
  more: Parameters<typeof itemOf>[1] = {},
): AppendItem[] => Array.from({ length: count }, (_, at) => itemOf(from + at, more));

/** Everything above a sequence, read in small pages, with the promise of no hole and no repeat checked on the way. */
export async function readAll(
  buffer: EventBuffer,
  eventClass: EventClass,
  more: Partial<ReadRequest> = {},
): Promise<Segment[]> {
  const all: Segment[] = [];
  let after = more.after ?? 0;
  for (;;) {
    const request = {
      eventClass,
      countMax: 100,
      bytesMax: 65_536,
      nowMs: undefined,
      ...more,
      after,
    };
    const segments = await buffer.read(request);
    if (segments.length === 0) return all;
    for (const segment of segments) {
      expect(segment.first).toBe(after + 1);
      if (segment.kind === "gap") after = segment.last;
      else for (const entry of segment.entries) expect(entry.sequence).toBe((after += 1));
      all.push(segment);
    }
  }
}

export function idsOf(segments: readonly Segment[]): string[] {
  return segments.flatMap((one) =>
    one.kind === "events" ? one.entries.map((entry) => entry.event.id) : [],
  );
}

export function gapsOf(segments: readonly Segment[]): Extract<Segment, { kind: "gap" }>[] {
  return segments.filter((one) => one.kind === "gap");
}

export const storedUpTo = (sequence: number): ClassWatermark => ({
  ...emptyWatermark,
  sequence,
  stored: sequence,
});

/** produced = confirmed + queued + gaps, for each class, to the last event. */
export async function assertLedger(buffer: EventBuffer): Promise<void> {
  const { classes } = await buffer.stats();
  for (const [name, one] of Object.entries(classes)) {
    const { sequence, stored, rejected, evicted, expired, damaged } = one.confirmed;
    expect(stored + rejected + evicted + expired + damaged, `${name} confirmed`).toBe(sequence);
    const gaps = one.gaps.evicted + one.gaps.expired + one.gaps.damaged;
    expect(sequence + one.queuedEvents + gaps, `${name} ledger`).toBe(one.produced);
  }
  const { queued } = await buffer.topics();
  for (const [name, one] of Object.entries(classes)) {
    const own = queued.filter(({ eventClass }) => eventClass === name);
    const sum = own.reduce((total, { events }) => total + events, 0);
    expect(sum, `${name} by topic`).toBe(one.queuedEvents);
  }
}
