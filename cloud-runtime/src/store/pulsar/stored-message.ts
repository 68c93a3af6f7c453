import { eventLimitsDefault } from "@fleetmesh/core";
import {
  eventOf,
  foreignEventOf,
  formatMessageId,
  stampOf,
  type EventStamp,
  type ReceivedMessage,
} from "@fleetmesh/pulsar";
import type { Origin, StoredEvent } from "../event-store.ts";
import { withOrigin } from "../shared/origin-extension.ts";

/** An event of another Pulsar producer may be this large; ours were checked at the doors. */
const foreignLimits = eventLimitsDefault;

/**
 * The event that a message of a topic is; undefined when it is none: it is passed over wherever it is read, and counted once.
 * A CloudEvent of another Pulsar producer counts as a direct publisher's of the region into whose cluster it was written.
 */
export function storedEventOf(
  message: ReceivedMessage,
  topic: string,
  region: string,
): StoredEvent | undefined {
  const stamp = stampOf(message.properties);
  const event = stamp ? eventOf(message) : foreignEventOf(message, foreignLimits);
  if (!event) return undefined;
  const { sequence, receivedMs } = stamp ?? { sequence: 0, receivedMs: message.publishedMs };
  const { meshnumber, meshrepaired } = message.properties;
  // What was repaired goes by the number that it makes good.
  const number = stamp && (meshrepaired ?? meshnumber);
  const origin = stamp ? originOf(stamp) : { region: message.replicatedFrom ?? region };
  return {
    position: formatMessageId(message.id),
    topic,
    origin,
    entry: {
      ...{ topic, sequence, receivedMs },
      event: origin.region === region ? event : withOrigin(event, origin.region),
    },
    ...(stamp && { number, sentMs: message.publishedMs }),
  };
}

export function originOf({ region, agentId, epoch, eventClass, position }: EventStamp): Origin {
  if (agentId === undefined && position === undefined) return { region };
  if (position === undefined) return { region, agentId, epoch, eventClass };
  return { region, agentId, epoch, eventClass, position };
}

/** What the message of an event says about where it came from. */
export function stampFor(
  { region, agentId, epoch, eventClass, position }: Origin,
  { sequence, receivedMs }: { readonly sequence: number; readonly receivedMs: number },
): EventStamp {
  return { region, agentId, epoch, eventClass, sequence, receivedMs, position };
}
