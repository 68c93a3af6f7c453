import { eventClasses, type EventClass } from "@fleetmesh/core";
import type { AppendItem } from "../../../edge-agent/src/buffer/buffer.ts";
import {
  MemoryBuffer,
  type MemoryBufferOptions,
} from "../../../edge-agent/src/buffer/memory-buffer.ts";

export interface Renewed {
  /** Started. */
  readonly buffer: MemoryBuffer;
  /** Of what was not confirmed, how many were gaps already: they are not carried over here. */
  readonly gapEvents: number;
}

/** What a renewal makes of a buffer: all that was not confirmed, under a new epoch, with numbers from 1. */
export async function renewedBuffer(
  refused: MemoryBuffer,
  options: MemoryBufferOptions,
): Promise<Renewed> {
  // What was stored once is not refused now.
  const limits = { ...options.limits, bytesMax: 1e9 };
  const buffer = new MemoryBuffer({ ...options, limits });
  await buffer.start();
  // What it took before it was stopped is in it, and is carried over too.
  await refused.stop();
  const before = refused.copy();
  await before.start();
  const appends = [];
  let gapEvents = 0;
  for (const eventClass of eventClasses) {
    const { gaps } = (await before.stats()).classes[eventClass];
    gapEvents += gaps.evicted + gaps.expired + gaps.damaged;
    const items = await itemsOf(before, eventClass);
    if (items.length > 0) appends.push(buffer.append(items));
  }
  await before.stop();
  await Promise.all(appends);
  return { buffer, gapEvents };
}

async function itemsOf(buffer: MemoryBuffer, eventClass: EventClass): Promise<AppendItem[]> {
  const { classes } = await buffer.stats();
  const after = classes[eventClass].confirmed.sequence;
  const bounds = { countMax: 1e6, bytesMax: 1e9, nowMs: undefined };
  const items: AppendItem[] = [];
  for (const segment of await buffer.read({ eventClass, after, ...bounds })) {
    if (segment.kind === "gap") continue;
    for (const { topic, receivedMs, event } of segment.entries) {
      // What the agent had named itself is named anew.
      const id = event.id.startsWith(buffer.epoch) ? "" : event.id;
      items.push({
        eventClass,
        expiresMs: undefined,
        entry: { topic, receivedMs, event: { ...event, id } },
      });
    }
  }
  return items;
}
