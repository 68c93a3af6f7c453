import { Counter, type CounterConfiguration } from "prom-client";

/** So many more since the last scrape. */
export interface Tally {
  count: number;
}

/**
 * A counter for what happens with every event: counting costs an addition, and the labels are looked up at the scrape only.
 * `inc` of a counter hashes its labels each time, which is dearer than what it counts.
 */
export class TallyCounter<Label extends string> {
  readonly #tallies = new Map<string, { readonly values: string[]; readonly tally: Tally }>();

  constructor(options: Omit<CounterConfiguration<Label>, "collect">) {
    const tallies = this.#tallies;
    new Counter<Label>({
      ...options,
      collect() {
        for (const { values, tally } of tallies.values()) {
          this.labels(...values).inc(tally.count);
          tally.count = 0;
        }
      },
    });
  }

  /** What to add to; the same one for the same labels, in the order in which the counter names them. */
  of(...values: string[]): Tally {
    const key = values.join("\0");
    const known = this.#tallies.get(key);
    if (known) return known.tally;
    const tally = { count: 0 };
    this.#tallies.set(key, { values, tally });
    return tally;
  }
}
