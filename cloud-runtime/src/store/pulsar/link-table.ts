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
}

/** A link's move, as the journal has it. */
export interface CursorMove {
  readonly region: string;
  readonly topic: string;
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

  /** Where an event lies that is stored beyond the cursor. */
  pendingPlace(of: { region: string; topic: string; position: Position }): MessageId | undefined {
    return this.#links.get(linkKey(of.region, of.topic))?.pending.get(of.position);
  }

  /** False when an event of this position is stored already and its cursor has not moved. */
  add(of: { region: string; topic: string; position: Position }, id: MessageId): boolean {
    const key = linkKey(of.region, of.topic);
    const link = this.#link(key);
    if (link.pending.has(of.position)) return false;
    if (compareMessageIds(id, link.through) > 0) {
      link.pending.set(of.position, id);
      this.#onChanged(key);
    }
    return true;
  }

  move({ region, topic, cursor, through }: CursorMove): void {
    const key = linkKey(region, topic);
    const link = this.#link(key);
    link.cursor = cursor;
    if (through && compareMessageIds(through, link.through) > 0) link.through = through;
    for (const [position, id] of link.pending)
      if (compareMessageIds(id, link.through) <= 0) link.pending.delete(position);
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
      ...{ cursor, through: parseMessageId(through), pending: new Map(places) },
    });
  }

  #link(key: string): Link {
    const link = this.#links.get(key) ?? {
      ...{ cursor: undefined, through: topicStart, pending: new Map<Position, MessageId>() },
    };
    this.#links.set(key, link);
    return link;
  }
}

function linkKey(region: string, topic: string): string {
  return `l/${topic}/${region}`;
}
