import {
  encodeEvent,
  eventOf,
  stampOf,
  type OutgoingMessage,
  type ReceivedMessage,
} from "@fleetmesh/pulsar";
import { z } from "zod";
import type { Attempt, DeadLetter } from "../delivery-store.ts";
import type { LetterName } from "./letter-chunk.ts";
import { originOf, stampFor } from "./stored-message.ts";

/** What a dead letter's message may have beyond its event's. */
export const letterBytesMax = 32 * 1024;
const attemptsBytesMax = 16 * 1024;
const reasonLengthMax = 1_000;

const attemptsOf = z.array(
  z.object({
    ...{ atMs: z.number(), durationMs: z.number(), outcome: z.string() },
    detail: z.string().optional(),
  }),
);

/** The event by the same binding as in its topic, with what became of it. */
export function encodeLetter(letter: DeadLetter): OutgoingMessage {
  const { entry, origin, id, subscription, topic, position, atMs } = letter;
  const message = encodeEvent(entry.event, stampFor(origin, entry));
  const properties = {
    ...message.properties,
    ...{ meshletter: id, meshsubscription: subscription, meshtopic: topic, meshplace: position },
    ...{ meshreason: cut(letter.reason), meshat: String(atMs) },
    meshattempts: attemptsText(letter.attempts),
  };
  // The dead letters of a region are its own affair, wherever the namespace is replicated to.
  return { ...message, properties, replicateTo: [] };
}

/** As the index has it: what it lists by is not longer than the message can have it. */
export function nameOf({ id, subscription, topic, reason, atMs }: DeadLetter): LetterName {
  return { id, subscription, topic, reason: cut(reason), atMs };
}

/** Undefined when the message is not the one that the index means, or does not read. */
export function decodeLetter(
  message: ReceivedMessage,
  { id, subscription, topic, reason, atMs }: LetterName,
): DeadLetter | undefined {
  const { meshletter, meshplace: position, meshattempts } = message.properties;
  const [stamp, event] = [stampOf(message.properties), eventOf(message)];
  if (meshletter !== id || position === undefined || !stamp || !event) return undefined;
  const attempts = attemptsOf.safeParse(JSON.parse(meshattempts ?? "[]")).data ?? [];
  const { sequence, receivedMs } = stamp;
  return {
    ...{ id, subscription, topic, position, atMs, reason, attempts, origin: originOf(stamp) },
    entry: { topic, sequence, receivedMs, event },
  };
}

const cut = (reason: string): string => reason.slice(0, reasonLengthMax);

/** The last ones that there is room for. */
function attemptsText(attempts: readonly Attempt[]): string {
  for (let from = 0; ; from = Math.max(from + 1, Math.ceil((from + attempts.length) / 2))) {
    const text = JSON.stringify(attempts.slice(from));
    if (Buffer.byteLength(text) <= attemptsBytesMax) return text;
  }
}
