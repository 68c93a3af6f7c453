import { eventPrint, type MeshEvent } from "@fleetmesh/core";
import type { MessageId } from "@fleetmesh/pulsar";
import type { StoredEvent } from "../event-store.ts";
import { directIdentity } from "../shared/event-identity.ts";
import { originExtension } from "../shared/origin-extension.ts";
import { identityOf, type DirectIdentities, type Identity } from "./direct-identities.ts";
import type { FoldCounters } from "./fold-counters.ts";
import type { ForeignSequences } from "./foreign-sequences.ts";
import type { LinkTable } from "./link-table.ts";
import { repairedExtension } from "./repaired-event.ts";
import { streamKey, type StreamTable } from "./stream-table.ts";
import type { Publisher } from "./topic-state.ts";

export interface EventJudgeOptions {
  readonly region: string;
  readonly streams: StreamTable;
  readonly foreignSequences: ForeignSequences;
  /** Of this region's direct publishers. */
  readonly identities: DirectIdentities;
  /** Of other regions' direct publishers: a flood of theirs takes no room of ours. */
  readonly foreignIdentities: DirectIdentities;
  readonly links: LinkTable;
  readonly counters: FoldCounters;
  /** The state has something new of this stream. */
  readonly onStream: (key: string) => void;
}

/** An event as it lies in the topic. */
export interface Arrival {
  readonly id: MessageId;
  readonly stored: StoredEvent;
  /** Another cluster's broker brought it. */
  readonly isReplicated: boolean;
  /** The audit knows by its number that it came before. */
  readonly isRepeat: boolean;
}

/**
 * Whether an event counts, and for whom, or repeats one that counts already. What holds:
 * - An event has one identity in all regions, whatever brought it (its own region's door, a link, Pulsar's replication): the agent's
 *   (id, epoch, class, sequence), or topic, source, id and content of one without an agent. The second one of an identity is void.
 * - Watermarks are moved by this region's own events only. What came from elsewhere proves nothing of the numbers before it: other
 *   topics may not be replicated, gaps and rejections never are. An agent that comes here with events that came before it has them
 *   stored once more as messages, so that its watermark has no hole, and void.
 * - A gap or rejection told here does not make an event of the same number a copy: an agent that changes regions tells what it
 *   left behind as lost, and the events may be on their way between the regions.
 */
export class EventJudge {
  readonly #options: EventJudgeOptions;

  constructor(options: EventJudgeOptions) {
    this.#options = options;
  }

  /** Undefined for a copy. */
  publisherOf(arrival: Arrival): Publisher | undefined {
    const { origin } = arrival.stored;
    if (arrival.isRepeat) return this.#copy("replicated");
    if (origin.region !== this.#options.region) return this.#judgeForeign(arrival);
    // Of this region's own nothing comes from outside but by a loop.
    if (arrival.isReplicated || origin.position !== undefined) return this.#copy("replicated");
    return origin.agentId === undefined
      ? this.#judgeDirect(arrival.stored)
      : this.#judgeAgents(arrival.stored);
  }

  #judgeAgents(stored: StoredEvent): Publisher | undefined {
    const { streams, foreignSequences, onStream } = this.#options;
    const key = streamOf(stored);
    if (key === undefined) return this.#copy("agents");
    const { sequence } = stored.entry;
    if (streams.add(key, "stored", { first: sequence, last: sequence }) === 0)
      return this.#copy("agents");
    onStream(key);
    streams.print(key, sequence, eventPrint(stored.entry));
    return foreignSequences.has(key, sequence) ? this.#copy("agents") : "fromAgents";
  }

  #judgeDirect({ topic, entry }: StoredEvent): Publisher | undefined {
    const { identities, foreignIdentities } = this.#options;
    const identity = identityOf(directIdentity(topic, entry.event));
    const [key, digest] = identity;
    if (identities.digestOf(key) === digest) return this.#copy("direct");
    identities.remember(identity);
    return foreignIdentities.digestOf(key) === digest ? this.#copy("direct") : "direct";
  }

  #judgeForeign({ id, stored }: Arrival): Publisher | undefined {
    const { topic, origin, entry } = stored;
    const { region, position } = origin;
    const { links } = this.#options;
    if (position !== undefined && !links.add({ region, topic, position }, id))
      return this.#copy("replicated");
    const isNew =
      streamOf(stored) === undefined || entry.sequence === 0
        ? this.#isNewDirect(identityOf(directIdentity(topic, plain(entry.event))))
        : this.#isNewAgents(stored);
    return isNew ? "replicated" : this.#copy("replicated");
  }

  #isNewAgents(stored: StoredEvent): boolean {
    const { streams, foreignSequences } = this.#options;
    const key = streamOf(stored) ?? "";
    const { sequence } = stored.entry;
    return !streams.isStored(key, sequence) && foreignSequences.add(key, sequence);
  }

  #isNewDirect(identity: Identity): boolean {
    const { identities, foreignIdentities } = this.#options;
    const [key, digest] = identity;
    if (identities.digestOf(key) === digest || foreignIdentities.digestOf(key) === digest)
      return false;
    foreignIdentities.remember(identity);
    return true;
  }

  #copy(of: "agents" | "direct" | "replicated"): Publisher | undefined {
    this.#options.counters.duplicate(of);
    return undefined;
  }
}

function streamOf({ origin: { agentId, epoch, eventClass } }: StoredEvent): string | undefined {
  if (agentId === undefined || epoch === undefined || eventClass === undefined) return undefined;
  return streamKey({ agentId, epoch, eventClass });
}

/** As it was before a repair or the way here marked it: its identity is of its content. */
function plain(event: MeshEvent): MeshEvent {
  const extensions = event.extensions.filter(
    ([name]) => name !== repairedExtension && name !== originExtension,
  );
  return extensions.length === event.extensions.length ? event : { ...event, extensions };
}
