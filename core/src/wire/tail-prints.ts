import type { BlockEntry } from "../event/block.ts";
import type { GapReason, Segment } from "./message.ts";

/** 32 bits of what tells an event from others; `gapPrint` where there is none; null where nothing can be told. */
export type TailPrint = number | null;
/** The prints of consecutive sequences of one class; the last belongs to the watermark. */
export type TailPrints = readonly TailPrint[];

/**
 * Of an event that was evicted, which is durable before it is told. Nothing is told of one that had expired, for it may be back
 * when a clock goes back, nor of one that was damaged, for it may be whole after all.
 */
export const gapPrint = -1;
/** How many of the last sequences are kept: two stretches of events that differ must not agree in all of them by chance. */
export const tailPrintsMax = 8;
const dataBytesMax = 64;
const time = new Float64Array(1);
const timeBytes = new Uint8Array(time.buffer);

/**
 * The same for one event at both ends of the uplink: FNV-1a over when it was received (a double, low byte first), the UTF-16
 * units of source and id, and the first bytes of its data. It runs for each small batch, so it is cheap and not more.
 */
export function eventPrint({ receivedMs, event }: BlockEntry): number {
  time[0] = receivedMs;
  let hash = withBytes(0x811c9dc5, timeBytes);
  hash = withText(withText(hash, event.source), event.id);
  if (event.data !== undefined) hash = withBytes(hash, event.data);
  return hash >>> 0;
}

function withBytes(from: number, bytes: Uint8Array): number {
  let hash = from;
  const length = Math.min(bytes.length, dataBytesMax);
  for (let at = 0; at < length; at += 1) hash = Math.imul(hash ^ (bytes[at] ?? 0), 0x01000193);
  return hash;
}

function withText(from: number, text: string): number {
  let hash = from;
  for (let at = 0; at < text.length; at += 1)
    hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  return hash;
}

export function printOfGap(reason: GapReason): TailPrint {
  return reason === "evicted" ? gapPrint : null;
}

/**
 * The first sequence up to which the two ends cannot have the same events: the region's prints up to its watermark say
 * something else than what is here. Undefined when nothing speaks against it.
 */
export function foreignSequence(
  told: { readonly prints: TailPrints; readonly watermark: number },
  here: readonly Segment[],
): number | undefined {
  const { prints, watermark } = told;
  const oldest = watermark - prints.length + 1;
  for (const segment of here) {
    // A gap here says nothing: its events may have been sent before they were evicted.
    if (segment.kind === "gap") continue;
    for (const entry of segment.entries) {
      const print = prints[entry.sequence - oldest];
      if (typeof print === "number" && print !== eventPrint(entry)) return entry.sequence;
    }
  }
  return undefined;
}
