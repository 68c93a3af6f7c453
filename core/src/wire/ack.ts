import { z } from "zod";
import { MeshError } from "../error/mesh-error.ts";
import { eventClasses, type EventClass } from "../topic/event-class.ts";
import { gapPrint, tailPrintsMax, type TailPrints } from "./tail-prints.ts";
import type { ClassWatermark } from "./watermark.ts";

export interface RejectedEvent {
  readonly eventClass: EventClass;
  readonly sequence: number;
  readonly code: string;
  readonly reason: string;
}

/** The payload of `acks/{agentId}` as JSON. The edge deletes rows on this, never on PUBACK. */
export interface AgentAck {
  readonly epoch: string;
  readonly watermarks: Readonly<Partial<Record<EventClass, ClassWatermark>>>;
  /**
   * In the answer to a hello: prints of the last events that the region has up to each watermark. An agent that holds other
   * events under these numbers is not the one that sent them: its buffer is a copy, and takes a new epoch.
   */
  readonly prints?: Readonly<Partial<Record<EventClass, TailPrints>>> | undefined;
  /** Events refused for good, kept in the region's rejected store, counted as handled. At most 100 named per ack. */
  readonly rejected: readonly RejectedEvent[];
  /** Classes whose batches in flight were refused: send again from watermark + 1. */
  readonly rewind: readonly EventClass[];
  /** Bytes the agent may have in flight from now on. */
  readonly creditBytes: number;
  /** Bytes of one message that the region takes; absent = not told. */
  readonly messageBytesMax?: number | undefined;
  /** The region's wall clock, milliseconds: the agent measures its skew by it. */
  readonly cloudMs: number;
  /** Set when the region will not serve this agent and epoch, e.g. a cloned buffer: MESH code and why. */
  readonly refused?: { readonly code: string; readonly reason: string } | undefined;
}

const count = z.int().min(0);
const watermark = z.object({
  sequence: count,
  stored: count,
  rejected: count,
  evicted: count,
  expired: count,
  damaged: count,
});
const print = z.int().min(gapPrint).max(0xffff_ffff).nullable();
const ackSchema = z.object({
  epoch: z.string().regex(/^[0-9a-f]{16}$/),
  watermarks: z.partialRecord(z.enum(eventClasses), watermark),
  prints: z.partialRecord(z.enum(eventClasses), z.array(print).max(tailPrintsMax)).optional(),
  rejected: z
    .array(
      z.object({
        eventClass: z.enum(eventClasses),
        sequence: count,
        code: z.string(),
        reason: z.string(),
      }),
    )
    .max(100),
  rewind: z.array(z.enum(eventClasses)),
  creditBytes: count,
  messageBytesMax: count.optional(),
  cloudMs: z.number(),
  refused: z.object({ code: z.string(), reason: z.string() }).optional(),
});

export function encodeAck(ack: AgentAck): Uint8Array {
  return Buffer.from(JSON.stringify(ack));
}

/** Throws WIRE_INVALID when the bytes are not an acknowledgement. */
export function decodeAck(bytes: Uint8Array): AgentAck {
  try {
    return ackSchema.parse(JSON.parse(Buffer.from(bytes).toString("utf8")));
  } catch (cause) {
    throw new MeshError("WIRE_INVALID", "The acknowledgement cannot be read", { cause });
  }
}
