import type { TopicEnds } from "../shared/topic-position.ts";
import type { TopicRow } from "./store-op.ts";

const none: TopicEnds = { stored: 0, trimmed: 0 };

/** Where each topic begins and ends, as last answered by the writer: bounds cost no read. */
export class TopicEndsTable {
  readonly #ends = new Map<string, TopicEnds>();

  load(rows: readonly TopicRow[]): void {
    this.#ends.clear();
    for (const { name, stored, trimmed } of rows) this.#ends.set(name, { stored, trimmed });
  }

  names(): string[] {
    return [...this.#ends].filter(([, { stored }]) => stored > 0).map(([name]) => name);
  }

  of(topic: string): TopicEnds {
    return this.#ends.get(topic) ?? none;
  }

  grow(topic: string, last: number): void {
    this.#ends.set(topic, { stored: last, trimmed: this.of(topic).trimmed });
  }

  trim(topic: string, trimmed: number): void {
    this.#ends.set(topic, { stored: this.of(topic).stored, trimmed });
  }
}
