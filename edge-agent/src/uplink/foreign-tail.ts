import { catalogue, foreignSequence, type AgentAck, type EventClass } from "@fleetmesh/core";
import type { EventBuffer } from "../buffer/buffer.ts";
import type { Refusal } from "./epoch-stream.ts";

/** More than that of events never wait: the region keeps the prints of a few. */
const bytesMax = 16 * 1024 * 1024;

/**
 * Compares what the region says it has last of a class with what the buffer holds under the same numbers. Other events there:
 * this buffer and the one that sent them are copies of one, and what waits here at or below the watermark would be taken for
 * sent. Only what waits can tell, and only that could be lost. Throws what the buffer's read throws.
 */
export async function foreignTail(
  buffer: EventBuffer,
  ack: AgentAck,
  at: {
    readonly eventClass: EventClass;
    readonly handled: number;
    readonly nowMs?: number | undefined;
  },
): Promise<Refusal | undefined> {
  const { eventClass, handled, nowMs } = at;
  const prints = ack.prints?.[eventClass] ?? [];
  const watermark = ack.watermarks[eventClass]?.sequence ?? 0;
  if (prints.length === 0 || watermark <= handled) return undefined;
  const after = Math.max(handled, watermark - prints.length);
  const countMax = watermark - after;
  const here = await buffer.read({ eventClass, after, countMax, bytesMax, nowMs });
  const sequence = foreignSequence({ prints, watermark }, here);
  if (sequence === undefined) return undefined;
  const reason = `The region has another event as ${eventClass} ${sequence}: a copy of this buffer uses its numbers`;
  return { code: catalogue.AGENT_CLONED.code, reason };
}
