import { MeshError } from "@fleetmesh/core";
import { compareMessageIds, encodeEvent, type MessageId } from "@fleetmesh/pulsar";
import type { Position, ReplicatedAppend } from "../event-store.ts";
import { encodeCursor } from "./journal.ts";
import type { LinkTable } from "./link-table.ts";
import { mark, type LogWriter, type Outgoing } from "./log-writer.ts";
import { unavailable } from "./store-ports.ts";
import { stampFor } from "./stored-message.ts";
import type { TopicLog } from "./topic-log.ts";

/** A link with appends that are not all folded yet. */
interface OpenLink {
  /** Where the cursor will be when all that was sent is durable. */
  cursor: Position | undefined;
  answered: Promise<void>;
  inHand: number;
  isBroken: boolean;
  readonly log: TopicLog;
  readonly marks: Map<TopicLog, MessageId>;
}

interface Plan {
  readonly outgoing: Outgoing[];
  readonly repeatCount: number;
  /** The last event that a crash had left beyond the cursor, of those in this append. */
  readonly pending: MessageId | undefined;
}

export interface LinkAppendsOptions {
  readonly region: string;
  readonly folded: LinkTable;
  readonly writer: LogWriter;
  readonly logOf: (topic: string) => TopicLog;
  readonly journal: TopicLog;
  readonly onRepeats: (topic: string, count: number) => void;
}

/**
 * Appends of links from other regions: first the events, then the cursor's move in the journal. What a crash leaves between is
 * known by the positions of the events, and is not stored again.
 */
export class LinkAppends {
  readonly #options: LinkAppendsOptions;
  readonly #open = new Map<string, OpenLink>();

  constructor(options: LinkAppendsOptions) {
    this.#options = options;
  }

  async append(append: ReplicatedAppend): Promise<{ readonly cursor: Position }> {
    const { writer, onRepeats, journal } = this.#options;
    const key = keyOf(append);
    const link = this.#link(key, append);
    if (link.isBroken)
      throw unavailable("It is being found out what is stored of the link's events");
    if (link.cursor !== append.cursorBefore) return this.#refuse(key, link, append);
    const plan = this.#plan(append, link);
    writer.admit(plan.outgoing, key);
    journal.assertSendable(key);
    onRepeats(append.topic, plan.repeatCount);
    link.cursor = append.cursorAfter;
    const before = link.answered;
    const done = this.#answered(key, link, this.#store({ append, key, link, plan, before }));
    await writer.telling(plan.outgoing, done);
    return { cursor: append.cursorAfter };
  }

  /** Resolves when everything of the link that was answered is folded. */
  async settled(region: string, topic: string): Promise<void> {
    const link = this.#open.get(`${region}\n${topic}`);
    if (!link) return;
    await link.answered.catch(() => undefined);
    await Promise.all([...link.marks].map(([log, id]) => log.reach(id)));
  }

  sweep(): void {
    for (const [key, link] of this.#open) if (isFolded(link)) this.#open.delete(key);
  }

  async #refuse(key: string, link: OpenLink, append: ReplicatedAppend): Promise<never> {
    const { cursor } = link;
    // The cursor that is told must be durable.
    await this.#answered(key, link, Promise.resolve());
    if (cursor === append.cursorAfter) this.#options.onRepeats(append.topic, append.entries.length);
    throw new MeshError("LINK_BEHIND", `The cursor of ${append.topic} is elsewhere`, {
      details: { cursor },
    });
  }

  #link(key: string, { originRegion, topic }: ReplicatedAppend): OpenLink {
    const found = this.#open.get(key);
    // The fold may know more than was sent here: a move of a cursor that landed late.
    if (found && !isFolded(found)) return found;
    const link = {
      cursor: this.#options.folded.cursor(originRegion, topic),
      ...{ answered: Promise.resolve(), inHand: 0, isBroken: false },
      ...{ log: this.#options.logOf(topic), marks: new Map<TopicLog, MessageId>() },
    };
    this.#open.set(key, link);
    return link;
  }

  #plan({ topic, originRegion, entries }: ReplicatedAppend, { log }: OpenLink): Plan {
    const outgoing: Outgoing[] = [];
    let pending: MessageId | undefined;
    for (const { position, entry, origin } of entries) {
      const stored = this.#options.folded.placeOf({ region: originRegion, topic, position });
      pending = later(pending, stored);
      if (stored) continue;
      const stamp = stampFor({ ...origin, position }, entry);
      // No transit: the other regions have links of their own to where it came from.
      outgoing.push({ log, message: { ...encodeEvent(entry.event, stamp), replicateTo: [] } });
    }
    return { outgoing, pending, repeatCount: entries.length - outgoing.length };
  }

  async #store(of: {
    append: ReplicatedAppend;
    key: string;
    link: OpenLink;
    plan: Plan;
    before: Promise<void>;
  }): Promise<void> {
    const { append, key, link, plan, before } = of;
    const events = await this.#send(plan.outgoing, { key, link });
    // Cursors move in their order, and never over events that are not stored.
    await before;
    const { topic, originRegion, cursorBefore, cursorAfter } = append;
    const through = later(plan.pending, events.get(link.log));
    const moved = { before: cursorBefore, cursor: cursorAfter, through };
    const move = { region: originRegion, topic, ...moved };
    const message = encodeCursor(this.#options.region, move);
    await this.#send([{ log: this.#options.journal, message }], { key, link });
  }

  async #send(
    outgoing: readonly Outgoing[],
    { key, link }: { key: string; link: OpenLink },
  ): Promise<ReadonlyMap<TopicLog, MessageId>> {
    const { marks, failure } = await this.#options.writer.send(outgoing, key);
    for (const [log, id] of marks) mark(link.marks, log, id);
    if (failure === undefined) return marks;
    link.isBroken = true;
    throw failure;
  }

  async #answered(key: string, link: OpenLink, done: Promise<void>): Promise<void> {
    const mine = Promise.all([link.answered, done]).then(() => undefined);
    link.answered = mine;
    link.inHand += 1;
    // In hand until its own sends are settled, also when an earlier append has failed.
    const settled = Promise.allSettled([mine, done]);
    try {
      await mine;
    } finally {
      await settled;
      link.inHand -= 1;
      if (link.inHand === 0 && link.isBroken) void this.#recover(key, link);
    }
  }

  /** Never rejects: a store that stops leaves its links broken. */
  async #recover(key: string, link: OpenLink): Promise<void> {
    const { journal } = this.#options;
    try {
      await Promise.all([link.log.recovered(key), journal.recovered(key)]);
      await Promise.all([...link.marks].map(([log, id]) => log.reach(id)));
      this.#open.delete(key);
    } catch {
      // Only a stop ends the wait.
    }
  }
}

/** Nothing is in hand, and the fold has all that was answered. */
function isFolded({ inHand, isBroken, marks }: OpenLink): boolean {
  if (inHand > 0 || isBroken) return false;
  return [...marks].every(([log, id]) => log.state.has(id));
}

function keyOf({ originRegion, topic }: ReplicatedAppend): string {
  return `${originRegion}\n${topic}`;
}

function later(left: MessageId | undefined, right: MessageId | undefined): MessageId | undefined {
  if (!left || !right) return left ?? right;
  return compareMessageIds(left, right) > 0 ? left : right;
}
