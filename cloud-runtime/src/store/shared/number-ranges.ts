interface Range {
  first: number;
  last: number;
}

const grammar = /^\d{1,15}(-\d{1,15})?(,\d{1,15}(-\d{1,15})?)*$/;

/** A set of whole numbers as ranges: ordered, apart from each other, cheap to grow at its end. */
export class NumberRanges {
  #ranges: Range[] = [];

  /** As `toText` gives it; empty for any other text. */
  static parse(text: string): NumberRanges {
    const parsed = new NumberRanges();
    if (!grammar.test(text)) return parsed;
    for (const item of text.split(",")) {
      const [first = 0, last = first] = item.split("-").map(Number);
      parsed.add(first, last);
    }
    return parsed;
  }

  static of(first: number, last: number): NumberRanges {
    const ranges = new NumberRanges();
    ranges.add(first, last);
    return ranges;
  }

  get isEmpty(): boolean {
    return this.#ranges.length === 0;
  }

  get rangeCount(): number {
    return this.#ranges.length;
  }

  get count(): number {
    return this.#ranges.reduce((sum, { first, last }) => sum + last - first + 1, 0);
  }

  get first(): number | undefined {
    return this.#ranges[0]?.first;
  }

  get last(): number | undefined {
    return this.#ranges.at(-1)?.last;
  }

  has(number: number): boolean {
    const range = this.#ranges[this.#indexOf(number)];
    return range !== undefined && range.first <= number;
  }

  /** Nothing when `last` is before `first`. */
  add(first: number, last: number): void {
    if (last < first) return;
    const newest = this.#ranges.at(-1);
    if (newest && first >= newest.first && first <= newest.last + 1) {
      newest.last = Math.max(newest.last, last);
      return;
    }
    const from = this.#indexOf(first - 1);
    let to = from;
    const merged = { first, last };
    for (; to < this.#ranges.length; to += 1) {
      const range = this.#ranges[to] as Range;
      if (range.first > last + 1) break;
      merged.first = Math.min(merged.first, range.first);
      merged.last = Math.max(merged.last, range.last);
    }
    this.#ranges.splice(from, to - from, merged);
  }

  addAll(other: NumberRanges): void {
    for (const { first, last } of other.#ranges) this.add(first, last);
  }

  remove(first: number, last: number): void {
    const from = this.#indexOf(first);
    let to = from;
    const left: Range[] = [];
    for (; to < this.#ranges.length; to += 1) {
      const range = this.#ranges[to] as Range;
      if (range.first > last) break;
      if (range.first < first) left.push({ first: range.first, last: first - 1 });
      if (range.last > last) left.push({ first: last + 1, last: range.last });
    }
    this.#ranges.splice(from, to - from, ...left);
  }

  removeAll(other: NumberRanges): void {
    for (const { first, last } of other.#ranges) this.remove(first, last);
  }

  /** What is in both. */
  shared(other: NumberRanges): NumberRanges {
    const outside = this.copy();
    outside.removeAll(other);
    const both = this.copy();
    both.removeAll(outside);
    return both;
  }

  copy(): NumberRanges {
    const copy = new NumberRanges();
    copy.#ranges = this.#ranges.map((range) => ({ ...range }));
    return copy;
  }

  /** The lowest, so many numbers in so many ranges at most. */
  head(countMax: number, rangesMax: number): NumberRanges {
    const head = new NumberRanges();
    let left = countMax;
    for (const { first, last } of this.#ranges.slice(0, rangesMax)) {
      if (left <= 0) break;
      head.add(first, Math.min(last, first + left - 1));
      left -= last - first + 1;
    }
    return head;
  }

  *numbers(): Generator<number> {
    for (const { first, last } of this.#ranges)
      for (let number = first; number <= last; number += 1) yield number;
  }

  /** `1-5,7` */
  toText(): string {
    const texts = this.#ranges.map(({ first, last }) =>
      first === last ? String(first) : `${first}-${last}`,
    );
    return texts.join(",");
  }

  /** The first range that ends at the number or behind it. */
  #indexOf(number: number): number {
    let [low, high] = [0, this.#ranges.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#ranges[middle] as Range).last < number) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
