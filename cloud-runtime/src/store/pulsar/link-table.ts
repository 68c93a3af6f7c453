import {
  compareMessageIds,
  formatMessageId,
  parseMessageId,
  type MessageId,
} from "@fleetmesh/pulsar";
import { z } from "zod";
import type { Position } from "../event-store.ts";
import { topicStart } from "./message-place.ts";

interface Link {
  cursor: Position | undefined;
  /** Events up to this place are behind the cursor. */
  through: MessageId;
  /** Positions in the origin's topic of events beyond it: stored, and the cursor's move is not. */
  readonly pending: Map<Position, MessageId>;
  /** Those of before the cursor's last moves, for an append that was begun when a move of before was on its way still. */
  readonly settled: ReadonlyMap<Position, MessageId>[];
}

const movesRemembered = 8;

/** A link's move, as the journal has it. */
export interface CursorMove {
  readonly region: string;
  readonly topic: string;
  /** Where it was. A move from anywhere else than where the fold has it is none: it came late. */
  readonly before: Position | undefined;
  readonly cursor: Position;
  /** The last event that was stored with it; undefined when there was none. */
  readonly through: MessageId | undefined;
}

const kept = z.object({
  cursor: z.string().optional(),
  through: z.string(),
  pending: z.array(z.tuple([z.string(), z.string()])),
});

/**
 * Cursors of the links from other regions. Events are stored before the cursor moves: those that a crash left beyond it are known
 * by their positions, so that the link's repetition finds them.
 */
export class LinkTable {
  readonly #links = new Map<string, Link>();
  readonly #onChanged: (key: string) => void;

  constructor(onChanged: (key: string) => void) {
    this.#onChanged = onChanged;
  }

  cursor(region: string, topic: string): Position | undefined {
    return this.#links.get(linkKey(region, topic))?.cursor;
  }

  /** Where an event lies that is stored beyond the cursor, or was until a moment ago. */
  placeOf(of: { region: string; topic: string; position: Position }): MessageId | undefined {
    const link = this.#links.get(linkKey(of.region, of.topic));
    if (!link) return undefined;
    const settled = link.settled.find((moved) => moved.has(of.position));
    return link.pending.get(of.position) ?? settled?.get(of.position);
  }

  /** False when an event of this position is stored already and its cursor has not moved. */
  add(of: { region: string; topic: string; position: Position }, id: MessageId): boolean {
    const key = linkKey(of.region, of.topic);
    const link = this.#link(key);
    if (link.pending.has(of.position)) return false;
    link.pending.set(of.position, id);
    if (compareMessageIds(id, link.through) >= 0) settle(link);
    this.#onChanged(key);
    return true;
  }

  /** `isFolded`: the topic is folded up to the last event of before the move. Before that, copies of them may still come. */
  move(
    { region, topic, before, cursor, through }: CursorMove,
    isFolded: (id: MessageId) => boolean,
  ): void {
    const key = linkKey(region, topic);
    const link = this.#link(key);
    if (link.cursor !== before) return;
    link.cursor = cursor;
    if (through && compareMessageIds(through, link.through) > 0) link.through = through;
    if (isFolded(link.through)) settle(link);
    this.#onChanged(key);
  }

  encode(key: string): Uint8Array | undefined {
    const link = this.#links.get(key);
    if (!link) return undefined;
    const pending = [...link.pending].map(([position, id]) => [position, formatMessageId(id)]);
    const { cursor, through } = link;
    return Buffer.from(JSON.stringify({ cursor, through: formatMessageId(through), pending }));
  }

  restore(key: string, value: Uint8Array | undefined): void {
    if (!value) {
      this.#links.delete(key);
      return;
    }
    const { cursor, through, pending } = kept.parse(JSON.parse(Buffer.from(value).toString()));
    const places = pending.map(([position, id]) => [position, parseMessageId(id)] as const);
    this.#links.set(key, {
      ...{ cursor, through: parseMessageId(through), pending: new Map(places), settled: [] },
    });
  }

  #link(key: string): Link {
    const link = this.#links.get(key) ?? {
      ...{ cursor: undefined, through: topicStart },
      ...{ pending: new Map<Position, MessageId>(), settled: [] },
    };
    this.#links.set(key, link);
    return link;
  }
}

/** What the cursor has passed is not pending any more. */
function settle({ pending, settled, through }: Link): void {
  const moved = new Map<Position, MessageId>();
  for (const [position, id] of pending) {
    if (compareMessageIds(id, through) > 0) continue;
    pending.delete(position);
    moved.set(position, id);
  }
  if (moved.size === 0) return;
  settled.unshift(moved);
  if (settled.length > movesRemembered) settled.pop();
}

function linkKey(region: string, topic: string): string {
  return `l/${topic}/${region}`;
}
