import { classRank, type EventClass } from "../topic/event-class.ts";

/**
 * The id of an event that the agent itself numbers for its in-process producers: a function of its identity, so that it
 * need not be stored or sent. Unique within a source because an epoch is never used by two buffers.
 */
export function agentMadeId(epoch: string, eventClass: EventClass, sequence: number): string {
  return `${epoch}-${classRank(eventClass)}-${sequence.toString(36)}`;
}
