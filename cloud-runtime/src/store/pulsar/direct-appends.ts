import { MeshError, type MeshEvent } from "@fleetmesh/core";
import { encodeEvent, type MessageId } from "@fleetmesh/pulsar";
import type { DirectAppend, DirectReceipt } from "../event-store.ts";
import { directIdentity } from "../shared/event-identity.ts";
import { identityOf, type DirectIdentities, type Identity } from "./direct-identities.ts";
import type { LogWriter, Outgoing } from "./log-writer.ts";
import type { TopicLog } from "./topic-log.ts";

/** An event that was sent and is not folded yet. */
interface InHand {
  readonly digest: string;
  readonly done: Promise<void>;
  readonly log: TopicLog;
  /** Its place or a later one in its topic, when it is acknowledged. */
  id: MessageId | undefined;
}

export interface DirectAppendsOptions {
  readonly region: string;
  readonly folded: DirectIdentities;
  /** Other regions' events: a publisher that changes regions may send them here, too. */
  readonly foreign: DirectIdentities;
  readonly writer: LogWriter;
  readonly logOf: (topic: string) => TopicLog;
  readonly onRepeats: (topics: readonly string[], count: number) => void;
}

interface Judged {
  /** Indexes of the events that are new. */
  readonly fresh: number[];
  /** Of those that are known and on their way. */
  readonly awaited: Promise<void>[];
}

const publisher = "direct";

/** Appends of direct publishers: judged against the window of folded events and against what is on its way. */
export class DirectAppends {
  readonly #options: DirectAppendsOptions;
  readonly #inHand = new Map<string, InHand>();

  constructor(options: DirectAppendsOptions) {
    this.#options = options;
  }

  async append({ topic, receivedMs, events }: DirectAppend): Promise<DirectReceipt> {
    if (events.length === 0) return { stored: 0 };
    const { region, writer, logOf, onRepeats } = this.#options;
    const identities = events.map((event) => identityOf(directIdentity(topic, event)));
    const { fresh, awaited } = this.#judge(identities);
    const log = logOf(topic);
    const stamp = { region, sequence: 0, receivedMs };
    const outgoing = fresh.map((at): Outgoing => {
      return { log, message: encodeEvent(events[at] as MeshEvent, stamp) };
    });
    writer.admit(outgoing, publisher);
    const repeatCount = events.length - fresh.length;
    onRepeats(Array<string>(repeatCount).fill(topic), repeatCount);
    const sent = this.#send(
      outgoing,
      fresh.map((at) => identities[at] as Identity),
    );
    await writer.telling(outgoing, Promise.all([sent, ...awaited]));
    return { stored: fresh.length };
  }

  /** Lets go of what is folded: the window has it. */
  sweep(): void {
    for (const [key, { id, log }] of this.#inHand)
      if (id && log.state.has(id)) this.#inHand.delete(key);
  }

  #judge(identities: readonly Identity[]): Judged {
    const judged: Judged = { fresh: [], awaited: [] };
    const seen = new Map<string, string>();
    for (const [index, [key, digest]] of identities.entries()) {
      if (this.#options.foreign.digestOf(key) === digest) continue;
      const inHand = this.#inHand.get(key);
      const known = inHand?.digest ?? this.#options.folded.digestOf(key) ?? seen.get(key);
      if (known === undefined) {
        seen.set(key, digest);
        judged.fresh.push(index);
      } else if (known !== digest) {
        const why = `Event ${index} is stored already with other content`;
        throw new MeshError("EVENT_CONFLICT", why, { details: { index } });
      } else if (inHand) judged.awaited.push(inHand.done);
    }
    return judged;
  }

  async #send(outgoing: readonly Outgoing[], identities: readonly Identity[]): Promise<void> {
    const [first] = outgoing;
    if (!first) return;
    const { log } = first;
    const sending = this.#options.writer.send(outgoing, publisher);
    const done = sending.then(({ failure }) => {
      if (failure !== undefined) throw failure;
    });
    const entries = identities.map(([key, digest]): readonly [string, InHand] => {
      return [key, { digest, done, log, id: undefined }];
    });
    for (const [key, inHand] of entries) this.#inHand.set(key, inHand);
    const { marks, failure } = await sending;
    const id = marks.get(log);
    if (failure !== undefined) void this.#forget(log, { entries, id });
    else for (const [, inHand] of entries) inHand.id = id;
    await done;
  }

  /** When it is known what is stored, the window has it. Never rejects: a store that stops forgets nothing. */
  async #forget(
    log: TopicLog,
    failed: { entries: readonly (readonly [string, InHand])[]; id: MessageId | undefined },
  ): Promise<void> {
    try {
      await log.recovered(publisher);
      if (failed.id) await log.reach(failed.id);
      for (const [key, inHand] of failed.entries)
        if (this.#inHand.get(key) === inHand) this.#inHand.delete(key);
    } catch {
      // Only a stop ends the wait.
    }
  }
}
