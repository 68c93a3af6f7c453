import { MeshError } from "../error/mesh-error.ts";
import type { MeshEvent } from "./event.ts";

/** What a decoder takes. The same figure holds at every door and store, so that what one accepted the next can carry. */
export interface EventLimits {
  /** The most that `eventByteSize` may be. */
  readonly maxEventBytes: number;
}

export const maxEventBytesDefault = 262_144;
/** To this an operator may raise it: a page of a region link holds one of them. */
export const maxEventBytesMost = 12 * 1024 * 1024;
export const eventLimitsDefault: EventLimits = { maxEventBytes: maxEventBytesDefault };

/**
 * The size that is limited: UTF-8 bytes of the attributes' names and values, plus the data bytes. It does not depend on
 * the encoding in which the event came, so that a door, a store and a region cannot disagree about it.
 */
export function eventByteSize(event: MeshEvent): number {
  let size = fixedBytes + textBytes(event.id) + textBytes(event.source) + textBytes(event.type);
  if (event.subject !== undefined) size += 7 + textBytes(event.subject);
  if (event.time !== undefined) size += 4 + textBytes(event.time);
  if (event.datacontenttype !== undefined) size += 15 + textBytes(event.datacontenttype);
  if (event.dataschema !== undefined) size += 10 + textBytes(event.dataschema);
  for (const [name, value] of event.extensions) size += name.length + textBytes(String(value));
  return size + (event.data?.length ?? 0);
}

const fixedBytes = "specversion1.0idsourcetype".length;

function textBytes(text: string): number {
  return Buffer.byteLength(text);
}

/** How long the JSON text of one event may be: base64 and escapes take more room than the event itself. */
export function structuredBytesMax(limits: EventLimits): number {
  return 2 * limits.maxEventBytes + 4096;
}

/** How long a message of the wire format with one such event may be, and what it unfolds to. */
export function wireBytesMax(limits: EventLimits): { packed: number; unpacked: number } {
  const packed = limits.maxEventBytes + 65_536;
  return { packed, unpacked: 2 * packed };
}

/** Throws EVENT_TOO_LARGE. */
export function assertEventSize(byteCount: number, byteCountMax: number): void {
  if (byteCount <= byteCountMax) return;
  throw new MeshError(
    "EVENT_TOO_LARGE",
    `The event has ${byteCount} bytes; ${byteCountMax} are allowed`,
    { details: { bytes: byteCount, bytesMax: byteCountMax } },
  );
}
