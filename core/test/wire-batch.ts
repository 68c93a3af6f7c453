import type { BlockEntry, MeshEvent, Segment, WireBatch, WireLimits } from "../src/index.ts";

export const epoch = "0123456789abcdef";
export const limits: WireLimits = { decodedBytesMax: 4_000_000, eventCountMax: 10_000 };

const plainEvent: MeshEvent = {
  id: "1",
  source: "urn:vehicle:a",
  type: "t",
  subject: undefined,
  time: undefined,
  datacontenttype: undefined,
  dataschema: undefined,
  extensions: [],
  data: undefined,
  dataKind: "json",
};

/** One event per given part, the rest plain. */
export function batchOf(parts: readonly Partial<MeshEvent>[], first = 1): WireBatch {
  const entries = parts.map((part, index): BlockEntry => ({
    topic: "vehicle.telemetry",
    sequence: first + index,
    receivedMs: 1_767_225_600_000 + 1000 * index,
    event: { ...plainEvent, ...part },
  }));
  return batchWith([{ kind: "events", first, entries }], first, first + parts.length - 1);
}

export function batchWith(segments: readonly Segment[], first: number, last: number): WireBatch {
  return { kind: "batch", agentId: "agent-1", epoch, eventClass: "normal", first, last, segments };
}

export function jsonBatch(texts: readonly string[]): WireBatch {
  return batchOf(texts.map((text) => ({ data: Buffer.from(text) })));
}
