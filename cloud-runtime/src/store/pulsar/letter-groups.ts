import type { LetterName } from "./letter-chunk.ts";

export type Group = Pick<LetterName, "subscription" | "topic" | "reason">;

/** Numbers for what dead letters have in common, from 1, as long as a letter uses them. */
export class LetterGroups {
  readonly #numbers = new Map<string, number>();
  readonly #groups = new Map<number, { readonly group: Group; users: number }>();
  #last = 0;

  use({ subscription, topic, reason }: Group): number {
    const name = nameOf({ subscription, topic, reason });
    const number = this.#numbers.get(name) ?? this.#make(name, { subscription, topic, reason });
    const kept = this.#groups.get(number);
    if (kept) kept.users += 1;
    return number;
  }

  drop(number: number): void {
    const kept = this.#groups.get(number);
    if (!kept) return;
    kept.users -= 1;
    if (kept.users > 0) return;
    this.#groups.delete(number);
    this.#numbers.delete(nameOf(kept.group));
  }

  get(number: number): Group | undefined {
    return this.#groups.get(number)?.group;
  }

  /** Those that a query wants. */
  matching(query: {
    readonly subscription?: string | undefined;
    readonly topic?: string | undefined;
  }) {
    const wanted = new Set<number>();
    for (const [number, { group }] of this.#groups) {
      const isOwn = query.subscription === undefined || group.subscription === query.subscription;
      if (isOwn && (query.topic === undefined || group.topic === query.topic)) wanted.add(number);
    }
    return wanted;
  }

  #make(name: string, group: Group): number {
    this.#last += 1;
    this.#numbers.set(name, this.#last);
    this.#groups.set(this.#last, { group, users: 0 });
    return this.#last;
  }
}

function nameOf({ subscription, topic, reason }: Group): string {
  return `${subscription}\n${topic}\n${reason}`;
}
