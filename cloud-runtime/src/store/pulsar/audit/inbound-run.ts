import { z } from "zod";
import type { Answer, SealedRange, SealedRun } from "./audit-message.ts";
import { DigestSum } from "./event-digest.ts";
import { NumberRanges } from "../../shared/number-ranges.ts";

/** What was found of the events that seals say were for this region. All only grow, but for `sealed`. */
export interface InboundCounts {
  /** Judged: arrived + repaired + lost + what is missing now. */
  sealed: number;
  arrived: number;
  /** Missing for longer than the grace, ever. */
  missing: number;
  repaired: number;
  /** Given up: the origin does not have them any more, or does not answer. */
  lost: number;
  /** Came, though the seal does not have them. */
  extra: number;
  /** Ranges that are complete and whose digest is another. */
  differing: number;
}

const kept = z.object({
  ...{ through: z.number(), seen: z.string(), missing: z.string(), counted: z.string() },
  after: z.string(),
});

/** Separate holes of one run; what lies beyond counts as lost. */
const holesMax = 10_000;
const seenRangesMax = 10_000;
/** Digests of events that no seal has come for: beyond it a range is judged by its numbers alone. */
const digestsMax = 65_536;

/** What has come of one run of another region's producer, and what its seals say should have. */
export class InboundRun {
  readonly missing = new NumberRanges();
  /** Of the missing, those that were counted and told. */
  readonly counted = new NumberRanges();
  /** A place in the origin's topic before the first that is missing. */
  after = "";
  /** Judged up to here. */
  #through = 0;
  /** Came, and no seal yet. */
  readonly #seen = new NumberRanges();
  readonly #digests = new Map<number, number>();

  get first(): number | undefined {
    return this.#seen.first;
  }

  /** The highest number that came or was sealed. */
  get highest(): number {
    return Math.max(this.#through, this.#seen.last ?? 0);
  }

  /** False when it came before, or was never missed. */
  arrive(number: number, digest: number | undefined, counts: InboundCounts): boolean {
    if (number > this.#through) {
      const isNew = !this.#seen.has(number);
      this.#seen.add(number, number);
      if (this.#seen.rangeCount > seenRangesMax) this.#forgetOldest();
      if (digest !== undefined && this.#digests.size < digestsMax)
        this.#digests.set(number, digest);
      return isNew;
    }
    if (!this.missing.has(number)) return false;
    this.missing.remove(number, number);
    if (this.counted.has(number)) counts.repaired += 1;
    else counts.arrived += 1;
    this.counted.remove(number, number);
    return true;
  }

  /** `from`: nothing before it is asked for. */
  seal(
    { start, last, ranges }: SealedRun,
    of: { from: number; region: string },
    counts: InboundCounts,
  ) {
    const base = Math.max(this.#through, of.from - 1);
    if (last <= base) return;
    const expected = NumberRanges.of(base + 1, last);
    for (const { less, absent } of ranges) {
      expected.removeAll(NumberRanges.parse(less[of.region]?.numbers ?? ""));
      expected.removeAll(NumberRanges.parse(absent ?? ""));
    }
    const arrived = expected.shared(this.#seen);
    const here = this.#seen.shared(NumberRanges.of(base + 1, last));
    const missing = expected.copy();
    missing.removeAll(arrived);
    for (const range of ranges) this.#compare(range, { ...of, base, missing }, counts);
    counts.sealed += expected.count;
    counts.arrived += arrived.count;
    counts.extra += here.count - arrived.count;
    if (!missing.isEmpty) this.#miss(missing, placeOf(missing, ranges) ?? start, counts);
    this.#seen.remove(0, last);
    for (const number of this.#digests.keys()) if (number <= last) this.#digests.delete(number);
    this.#through = last;
  }

  answer({ absent, lost }: Answer, counts: InboundCounts): void {
    const never = this.missing.shared(NumberRanges.parse(absent));
    counts.sealed -= never.count;
    this.missing.removeAll(never);
    this.counted.removeAll(never);
    this.giveUp(this.missing.shared(NumberRanges.parse(lost)), counts);
  }

  giveUp(numbers: NumberRanges, counts: InboundCounts): void {
    this.count(numbers, counts);
    counts.lost += numbers.count;
    this.missing.removeAll(numbers);
    this.counted.removeAll(numbers);
  }

  /** Gives how many of them were not counted yet. */
  count(numbers: NumberRanges, counts: InboundCounts): number {
    const fresh = numbers.shared(this.missing);
    fresh.removeAll(this.counted);
    counts.missing += fresh.count;
    this.counted.addAll(fresh);
    return fresh.count;
  }

  toRecord(): z.infer<typeof kept> {
    const { after, missing, counted } = this;
    const texts = { missing: missing.toText(), counted: counted.toText() };
    return { through: this.#through, seen: this.#seen.toText(), ...texts, after };
  }

  static fromRecord(record: z.infer<typeof kept>): InboundRun {
    const run = new InboundRun();
    run.#through = record.through;
    run.#seen.addAll(NumberRanges.parse(record.seen));
    run.missing.addAll(NumberRanges.parse(record.missing));
    run.counted.addAll(NumberRanges.parse(record.counted));
    run.after = record.after;
    return run;
  }

  static readonly record = kept;

  /** They are asked for again when their seal comes, and void when they come again. */
  #forgetOldest(): void {
    const oldest = this.#seen.head(Infinity, 1);
    this.#seen.removeAll(oldest);
  }

  #miss(missing: NumberRanges, after: string, counts: InboundCounts): void {
    if (this.missing.isEmpty) this.after = after;
    this.missing.addAll(missing);
    while (this.missing.rangeCount > holesMax) this.giveUp(this.missing.head(Infinity, 1), counts);
  }

  /** Only a range that came whole, since the last start. */
  #compare(
    range: SealedRange,
    of: { region: string; base: number; missing: NumberRanges },
    counts: InboundCounts,
  ): void {
    const less = range.less[of.region];
    const wanted = less ? less.digest : range.digest;
    if (wanted === undefined || range.first <= of.base) return;
    const others = NumberRanges.parse(less?.numbers ?? "");
    others.addAll(NumberRanges.parse(range.absent ?? ""));
    const sum = new DigestSum();
    for (let number = range.first; number <= range.last; number += 1) {
      if (others.has(number)) continue;
      const digest = this.#digests.get(number);
      if (digest === undefined || of.missing.has(number)) return;
      sum.add(digest);
    }
    if (sum.toText() !== wanted) counts.differing += 1;
  }
}

function placeOf(missing: NumberRanges, ranges: readonly SealedRange[]): string | undefined {
  const { first = 0 } = missing;
  return ranges.find((range) => range.first <= first && first <= range.last)?.after;
}
