import type { BlockEntry } from "@fleetmesh/core";
import {
  encodeEvent,
  encodeStamp,
  formatMessageId,
  parseMessageId,
  stampOf,
  type EventStamp,
  type OutgoingMessage,
  type ReceivedMessage,
} from "@fleetmesh/pulsar";
import { z } from "zod";
import type { AgentRun, RejectedRecord } from "../event-store.ts";
import type { CursorMove } from "./link-table.ts";
import { stampFor, storedEventOf } from "./stored-message.ts";
import type { StreamOf } from "./stream-table.ts";

export const journalTopic = "_mesh.journal";

export type Gap = Extract<AgentRun, { kind: "gap" }>;

export interface RejectedEvent {
  readonly kind: "rejected";
  readonly stream: StreamOf;
  readonly entry: BlockEntry;
}

/** What happened without an event in a topic. */
export type JournalRecord =
  | { readonly kind: "gap"; readonly stream: StreamOf; readonly gap: Gap }
  | RejectedEvent
  | { readonly kind: "cursor"; readonly move: CursorMove };

/** A journal is its region's own, whatever the namespace's policy says. */
const nowhereElse: readonly string[] = [];

const gapBody = z.object({
  first: z.number().int().positive(),
  last: z.number().int().positive(),
  reason: z.enum(["evicted", "expired", "damaged"]),
  topics: z.record(z.string(), z.number()),
});
const cursorBody = z.object({
  ...{ region: z.string(), topic: z.string(), cursor: z.string() },
  before: z.string().optional(),
  through: z.string().optional(),
});

export function encodeGap(region: string, stream: StreamOf, gap: Gap): OutgoingMessage {
  const { first, last, reason, topics } = gap;
  const stamp = stampFor({ region, ...stream }, { sequence: last, receivedMs: 0 });
  return journalMessage("gap", stamp, { first, last, reason, topics });
}

export function encodeCursor(region: string, move: CursorMove): OutgoingMessage {
  const through = move.through && formatMessageId(move.through);
  return journalMessage("cursor", { region, sequence: 0, receivedMs: 0 }, { ...move, through });
}

/** The event itself, by the same binding as in a topic, with why it was rejected. */
export function encodeRejected(
  stamp: EventStamp,
  { entry, code, reason, atMs }: Omit<RejectedRecord, "origin">,
): OutgoingMessage {
  const message = encodeEvent(entry.event, stamp);
  const more = { meshjournal: "rejected", meshtopic: entry.topic, meshcode: code };
  const why = { meshreason: reason.slice(0, 1_000), meshat: String(atMs) };
  const properties = { ...message.properties, ...more, ...why };
  return { ...message, properties, replicateTo: nowhereElse };
}

/** Undefined for a message that is no record of the journal, or one that does not read. */
export function decodeJournal(message: ReceivedMessage): JournalRecord | undefined {
  const kind = message.properties["meshjournal"];
  const stamp = stampOf(message.properties);
  if (!stamp) return undefined;
  if (kind === "cursor") return cursorOf(message.payload);
  const { agentId, epoch, eventClass } = stamp;
  if (agentId === undefined || epoch === undefined || eventClass === undefined) return undefined;
  const stream = { agentId, epoch, eventClass };
  if (kind === "rejected") {
    const rejected = rejectedOf(message, stamp.region);
    return rejected && { kind, stream, entry: rejected.entry };
  }
  const gap = kind === "gap" ? gapBody.safeParse(json(message.payload)).data : undefined;
  return gap && { kind: "gap", stream, gap: { kind: "gap", ...gap } };
}

export function rejectedOf(message: ReceivedMessage, region: string): RejectedRecord | undefined {
  const { meshjournal, meshtopic, meshcode, meshreason, meshat } = message.properties;
  if (meshjournal !== "rejected" || meshtopic === undefined) return undefined;
  const stored = storedEventOf(message, meshtopic, region);
  if (!stored) return undefined;
  const entry: BlockEntry = stored.entry;
  const why = { code: meshcode ?? "", reason: meshreason ?? "" };
  return { atMs: Number(meshat ?? 0), origin: stored.origin, entry, ...why };
}

function cursorOf(payload: Uint8Array): JournalRecord | undefined {
  const { data } = cursorBody.safeParse(json(payload));
  if (!data) return undefined;
  const { before } = data;
  const through = data.through === undefined ? undefined : parseMessageId(data.through);
  return { kind: "cursor", move: { ...data, before, through } };
}

function journalMessage(kind: string, stamp: EventStamp, body: unknown): OutgoingMessage {
  const payload = Buffer.from(JSON.stringify(body));
  const properties = { ...encodeStamp(stamp), meshjournal: kind };
  return { payload, properties, replicateTo: nowhereElse };
}

function json(payload: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(payload).toString());
  } catch {
    return undefined;
  }
}
