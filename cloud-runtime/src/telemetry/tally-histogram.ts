import { Histogram, type HistogramConfiguration } from "prom-client";

type Labels = Readonly<Record<string, string | number>>;

/** A line of the exposition format. */
interface Line {
  readonly metricName: string;
  readonly labels: Labels;
  readonly value: number;
}

/** One set of labels of a histogram. */
export class Distribution {
  readonly #bounds: readonly number[];
  /** By bucket, not summed up; the last is for what is above all bounds. */
  readonly #counts: number[];
  #sum = 0;

  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
    this.#counts = new Array<number>(bounds.length + 1).fill(0);
  }

  observe(value: number): void {
    const bounds = this.#bounds;
    let at = 0;
    while (at < bounds.length && value > (bounds[at] as number)) at += 1;
    this.#counts[at] = (this.#counts[at] as number) + 1;
    this.#sum += value;
  }

  /** As the exposition format has it: each bucket holds all that is smaller too. */
  *lines(name: string, labels: Labels): Generator<Line> {
    let count = 0;
    for (const [at, more] of this.#counts.entries()) {
      count += more;
      const le = this.#bounds[at] ?? "+Inf";
      yield { metricName: `${name}_bucket`, labels: { ...labels, le }, value: count };
    }
    yield { metricName: `${name}_sum`, labels, value: this.#sum };
    yield { metricName: `${name}_count`, labels, value: count };
  }
}

/** A histogram for what happens with every event: observing hashes no labels. See TallyCounter. */
export class TallyHistogram<Label extends string> extends Histogram<Label> {
  readonly #options: HistogramConfiguration<Label>;
  readonly #distributions = new Map<
    string,
    { readonly labels: Labels; readonly distribution: Distribution }
  >();

  constructor(options: HistogramConfiguration<Label>) {
    super(options);
    this.#options = options;
  }

  /** What to observe with; the same one for the same labels, in the order in which the histogram names them. */
  of(...values: string[]): Distribution {
    const key = values.join("\0");
    const known = this.#distributions.get(key);
    if (known) return known.distribution;
    const names = this.#options.labelNames ?? [];
    const labels = Object.fromEntries(names.map((name, at) => [name, values[at] ?? ""]));
    const distribution = new Distribution(this.#options.buckets ?? []);
    this.#distributions.set(key, { labels, distribution });
    return distribution;
  }

  /** What the registry asks for when it writes text, and `get` when it makes objects. */
  getForPromString(): Promise<object> {
    const { name, help } = this.#options;
    const values = [...this.#distributions.values()].flatMap(({ labels, distribution }) => [
      ...distribution.lines(name, labels),
    ]);
    return Promise.resolve({ name, help, type: "histogram", aggregator: "sum", values });
  }
}
