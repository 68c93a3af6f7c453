/** What a publisher sent, and what it may rely on. */
export interface Sent {
  readonly id: string;
  readonly key: string;
  readonly topic: string;
  readonly isViaEdge: boolean;
  /** How often it was sent: more than once when an answer did not come. */
  sendings: number;
  isAcknowledged: boolean;
}

/** The publishers' own book, kept outside the mesh. */
export class StormJournal {
  readonly sent = new Map<string, Sent>();
  /** Answers that no well-formed event may get. */
  readonly refusals: string[] = [];

  sending(event: Omit<Sent, "sendings" | "isAcknowledged">): Sent {
    const known = this.sent.get(event.id);
    const entry = known ?? { ...event, sendings: 0, isAcknowledged: false };
    entry.sendings += 1;
    this.sent.set(event.id, entry);
    return entry;
  }

  of(topic: string): Sent[] {
    return [...this.sent.values()].filter((sent) => sent.topic === topic);
  }
}

/** The counter within its key, as the event's id tells it. */
export function counterOf(id: string): number {
  return Number(id.slice(id.lastIndexOf("-") + 1));
}

export function keyOf(id: string): string {
  return id.slice(0, id.lastIndexOf("-"));
}
