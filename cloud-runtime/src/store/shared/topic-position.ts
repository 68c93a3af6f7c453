import { MeshError } from "@fleetmesh/core";
import type { Position } from "../event-store.ts";

/** What positions are resolved against: events trimmed from the head, and the ordinal of the last one stored. */
export interface TopicEnds {
  readonly trimmed: number;
  readonly stored: number;
}

const ordinalGrammar = /^(?:0|[1-9][0-9]{0,15})$/;

/**
 * The ordinal after which to read. Events of a topic are numbered from 1, and an event's position is its own number.
 * Throws POSITION_INVALID, or POSITION_TRIMMED with details.earliest.
 */
export function ordinalAfter(topic: string, position: Position, ends: TopicEnds): number {
  if (position === "earliest") return ends.trimmed;
  if (position === "latest") return ends.stored;
  const ordinal = ordinalGrammar.test(position) ? Number(position) : Number.NaN;
  if (!(ordinal <= ends.stored))
    throw new MeshError(
      "POSITION_INVALID",
      `"${position.slice(0, 40)}" is not a position of ${topic}`,
    );
  if (ordinal < ends.trimmed) {
    const earliest = positionOf(ends.trimmed);
    throw new MeshError("POSITION_TRIMMED", `${topic} is kept from ${earliest} on`, {
      details: { earliest },
    });
  }
  return ordinal;
}

export function positionOf(ordinal: number): Position {
  return String(ordinal);
}
