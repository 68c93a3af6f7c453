import { z } from "zod";
import { runShards, type EventNumber } from "../../shared/event-number.ts";
import type { Answer, Seal } from "./audit-message.ts";
import { InboundRun, type InboundCounts } from "./inbound-run.ts";
import { NumberRanges } from "../../shared/number-ranges.ts";

const counter = z.number();
const kept = z.object({
  counts: z.object({
    ...{ sealed: counter, arrived: counter, missing: counter, repaired: counter, lost: counter },
    ...{ extra: counter, differing: counter },
  }),
  ...{ forgottenRun: counter, isKnown: z.boolean(), fruitlessAsks: counter },
  runs: z.array(z.tuple([z.number(), InboundRun.record])),
  newestOf: z.array(z.tuple([z.number(), z.number()])),
});

/** Runs that are kept apart; older ones are not audited any more. */
const runsMax = 32;

/** A run with events that are to be asked for. */
export interface Wanted {
  readonly run: number;
  readonly numbers: NumberRanges;
  readonly after: string;
}

/** What has come of one topic from one other region, held against what that region's seals say. */
export class InboundTopic {
  readonly counts: InboundCounts = {
    ...{ sealed: 0, arrived: 0, missing: 0, repaired: 0, lost: 0, extra: 0, differing: 0 },
  };
  /** Since something of what was asked for came, or was given up. */
  fruitlessAsks = 0;
  readonly #runs = new Map<number, InboundRun>();
  /** By producer, the newest run of which anything came. */
  readonly #newestOf = new Map<number, number>();
  #forgottenRun = 0;
  /** A seal has come: from now on runs are expected from their beginning. */
  #isKnown = false;

  get missingCount(): number {
    let count = 0;
    for (const { missing } of this.#runs.values()) count += missing.count;
    return count;
  }

  /** With the highest number of each that came or was sealed. */
  get runs(): { readonly run: number; readonly highest: number }[] {
    return [...this.#runs].map(([run, { highest }]) => ({ run, highest }));
  }

  /** True when later ones of its producer came before it. */
  arrive({ run, number }: EventNumber, digest: number): boolean {
    const of = this.#run(run);
    const newest = this.#newestOf.get(run % runShards) ?? 0;
    if (run > newest) this.#newestOf.set(run % runShards, run);
    const isLate = of === undefined || number < of.highest || run < newest;
    of?.arrive(number, digest, this.counts);
    return isLate;
  }

  /** False when it is not missing: it came before. */
  repair({ run, number }: EventNumber): boolean {
    const isNew = this.#runs.get(run)?.arrive(number, undefined, this.counts) ?? false;
    if (isNew) this.fruitlessAsks = 0;
    return isNew;
  }

  seal({ runs }: Seal, region: string): void {
    for (const sealed of runs) {
      const since = sealed.since[region];
      const run = since === undefined ? undefined : this.#run(sealed.run);
      if (since === undefined || !run) continue;
      // Who hears of a region for the first time begins with what comes now, not with what was before.
      const begin = Math.min(run.first ?? Infinity, sealed.ranges[0]?.first ?? sealed.last + 1);
      const from = this.#isKnown ? since : Math.max(since, begin);
      run.seal(sealed, { from, region }, this.counts);
    }
    this.#isKnown ||= runs.some(({ since }) => since[region] !== undefined);
  }

  answer(answer: Answer): void {
    const before = this.missingCount;
    this.#runs.get(answer.run)?.answer(answer, this.counts);
    if (this.missingCount < before) this.fruitlessAsks = 0;
  }

  /** What is missing now, by run. */
  suspects(): ReadonlyMap<number, NumberRanges> {
    const suspects = new Map<number, NumberRanges>();
    for (const [run, { missing }] of this.#runs)
      if (!missing.isEmpty) suspects.set(run, missing.copy());
    return suspects;
  }

  /** Those of the suspects that are missing still count as missing; gives how many were not counted before. */
  confirm(suspects: ReadonlyMap<number, NumberRanges>): number {
    let fresh = 0;
    for (const [run, numbers] of suspects)
      fresh += this.#runs.get(run)?.count(numbers, this.counts) ?? 0;
    return fresh;
  }

  wanted(countMax: number, rangesMax: number): Wanted[] {
    const wanted: Wanted[] = [];
    for (const [run, { counted, after }] of this.#runs)
      if (!counted.isEmpty) wanted.push({ run, numbers: counted.head(countMax, rangesMax), after });
    return wanted;
  }

  giveUp(): void {
    for (const run of this.#runs.values()) run.giveUp(run.missing.copy(), this.counts);
    this.fruitlessAsks = 0;
  }

  encode(): Uint8Array {
    const record: z.infer<typeof kept> = {
      ...{ counts: this.counts, fruitlessAsks: this.fruitlessAsks },
      ...{ forgottenRun: this.#forgottenRun, isKnown: this.#isKnown },
      runs: [...this.#runs].map(([run, each]) => [run, each.toRecord()]),
      newestOf: [...this.#newestOf],
    };
    return Buffer.from(JSON.stringify(record));
  }

  restore(value: Uint8Array): void {
    const record = kept.parse(JSON.parse(Buffer.from(value).toString()));
    Object.assign(this.counts, record.counts);
    this.fruitlessAsks = record.fruitlessAsks;
    this.#forgottenRun = record.forgottenRun;
    this.#isKnown = record.isKnown;
    this.#runs.clear();
    for (const [shard, run] of record.newestOf) this.#newestOf.set(shard, run);
    for (const [run, each] of record.runs) this.#runs.set(run, InboundRun.fromRecord(each));
  }

  /** Undefined for one that is too old to be known. */
  #run(run: number): InboundRun | undefined {
    const found = this.#runs.get(run);
    if (found || run <= this.#forgottenRun) return found;
    const made = new InboundRun();
    this.#runs.set(run, made);
    if (this.#runs.size > runsMax) this.#forget();
    return this.#runs.get(run);
  }

  /** The oldest that misses nothing; else the oldest, which is given up. */
  #forget(): void {
    const runs = [...this.#runs.keys()].sort((left, right) => left - right);
    const isWhole = (run: number): boolean => this.#runs.get(run)?.missing.isEmpty === true;
    const oldest = runs.slice(0, -1).find(isWhole) ?? runs[0] ?? 0;
    const forgotten = this.#runs.get(oldest);
    forgotten?.giveUp(forgotten.missing.copy(), this.counts);
    this.#runs.delete(oldest);
    this.#forgottenRun = Math.max(this.#forgottenRun, oldest);
  }
}
