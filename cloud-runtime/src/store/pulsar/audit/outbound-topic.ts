import { formatMessageId, type MessageId, type ReceivedMessage } from "@fleetmesh/pulsar";
import { z } from "zod";
import { runShards, type EventNumber } from "../../shared/event-number.ts";
import type { Seal, SealedRange, SealedRun } from "./audit-message.ts";
import { DigestSum, eventDigest } from "./event-digest.ts";
import { NumberRanges } from "../../shared/number-ranges.ts";

/** One event that the log has and no seal yet. */
interface Unsealed {
  readonly number: number;
  readonly id: MessageId | undefined;
  readonly digest: number | undefined;
  /** The regions that it names, with commas between; undefined when it is for all. */
  readonly regions: string | undefined;
}

interface OutboundRun {
  readonly run: number;
  readonly start: string;
  /** A place before the first event that is not sealed. */
  after: string;
  /** The highest number that the log has. */
  seen: number;
  sealed: number;
  since: Record<string, number>;
  /** It is known for whom it began. */
  isReached: boolean;
  unsealed: Unsealed[];
}

const kept = z.array(
  z.object({
    ...{ run: z.number(), start: z.string(), after: z.string() },
    ...{ seen: z.number(), sealed: z.number(), since: z.record(z.string(), z.number()) },
    isReached: z.boolean(),
    unsealed: z.string(),
    /** Of the unsealed, those that name their regions. */
    named: z.array(z.tuple([z.number(), z.string()])),
  }),
);

/** Events of one range of a seal. */
const rangeMax = 4_096;
const rangesPerRun = 8;
/** Runs that are over and sealed, and are told of all the same: their last seal may have been lost on the way. */
const endedMax = 4;

/**
 * What this region has sent of a topic, by runs of its producers, as its own log has it. Truth is the log: what was sent and is not
 * in it is not sealed. Within a run numbers lie in the log in their order, because a producer ends with its first failure.
 */
export class OutboundTopic {
  readonly #runs = new Map<number, OutboundRun>();
  #newestRun = 0;

  /** Of all runs that were ever folded or begun. */
  get newestRun(): number {
    return this.#newestRun;
  }

  get hasUnsealed(): boolean {
    for (const { seen, sealed } of this.#runs.values()) if (seen > sealed) return true;
    return false;
  }

  get isEmpty(): boolean {
    return this.#runs.size === 0;
  }

  /** With the highest number of each that the log has. */
  get runs(): { readonly run: number; readonly highest: number }[] {
    return [...this.#runs.values()].map(({ run, seen: highest }) => ({ run, highest }));
  }

  /** A number for a run that begins now in this place: higher than all before, also when the clock went back. */
  beginRun(wallMs: number, shard: number): number {
    const after = Math.floor(this.#newestRun / runShards) + 1;
    const place = shard % runShards;
    this.#newestRun = Math.max(Math.floor(wallMs), after) * runShards + place;
    return this.#newestRun;
  }

  highest(run: number): number {
    return this.#runs.get(run)?.seen ?? 0;
  }

  add({ run, number }: EventNumber, message: ReceivedMessage, before: MessageId): void {
    this.#newestRun = Math.max(this.#newestRun, run);
    const known = this.#runs.get(run) ?? newRun(run, formatMessageId(before));
    this.#runs.set(run, known);
    if (number <= known.seen) return;
    known.seen = number;
    const regions = message.properties["ce_meshregions"];
    const digest = eventDigest(number, message);
    known.unsealed.push({ number, id: message.id, digest, regions });
  }

  /** A seal of ours is in the log. */
  sealed({ runs }: Seal): void {
    for (const { run, ranges, since } of runs) {
      const known = this.#runs.get(run);
      const last = ranges.at(-1)?.last ?? 0;
      if (!known || last <= known.sealed) continue;
      known.sealed = last;
      if (!known.isReached) [known.since, known.isReached] = [{ ...since }, true];
      const upTo = known.unsealed.findLastIndex(({ number }) => number <= last);
      const place = known.unsealed[upTo]?.id;
      if (place) known.after = formatMessageId(place);
      known.unsealed = known.unsealed.slice(upTo + 1);
    }
  }

  /** For whom each run is from which number on, by what the topic's policy says now. `nextOf`: of a run that is under way. */
  reach(regions: readonly string[], nextOf: (run: number) => number | undefined): void {
    for (const known of this.#runs.values()) {
      const { run, seen, since, isReached } = known;
      // What was sent before anybody had asked for whom counts as sent to all of now.
      const next = isReached ? nextOf(run) : 1;
      const left = Object.entries(since).filter(([region]) => regions.includes(region));
      known.since = Object.fromEntries(left);
      known.isReached = true;
      for (const region of next === undefined ? [] : regions)
        known.since[region] ??= isReached ? Math.max(next ?? 0, seen + 1) : 1;
      if (Object.keys(known.since).length > 0) continue;
      // There is nobody to be told.
      [known.sealed, known.unsealed] = [seen, []];
    }
  }

  /** Everything that the log has now, and what was sealed before; undefined when there is nothing to tell. */
  makeSeal(region: string): Seal | undefined {
    const runs = [...this.#runs.values()].filter(({ since }) => Object.keys(since).length > 0);
    return runs.length === 0 ? undefined : { region, runs: runs.map(sealOf) };
  }

  /** Lets go of runs that are over, but for the last of them. */
  sweep(isLive: (run: number) => boolean): void {
    const over = [...this.#runs.values()].filter(
      ({ run, seen, sealed }) => seen === sealed && !isLive(run),
    );
    over.sort((left, right) => right.run - left.run);
    for (const { run } of over.slice(endedMax)) this.#runs.delete(run);
  }

  encode(): Uint8Array {
    const runs: z.infer<typeof kept> = [...this.#runs.values()].map((each) => {
      const unsealed = new NumberRanges();
      const named: [number, string][] = [];
      for (const { number, regions } of each.unsealed) {
        unsealed.add(number, number);
        if (regions !== undefined) named.push([number, regions]);
      }
      return { ...each, unsealed: unsealed.toText(), named };
    });
    return Buffer.from(JSON.stringify(runs));
  }

  /** Places and digests of what is not sealed are not kept: its seal goes without. */
  restore(value: Uint8Array): void {
    this.#runs.clear();
    for (const { unsealed, named, ...run } of kept.parse(
      JSON.parse(Buffer.from(value).toString()),
    )) {
      const regions = new Map(named);
      const events = [...NumberRanges.parse(unsealed).numbers()].map((number): Unsealed => {
        return { number, id: undefined, digest: undefined, regions: regions.get(number) };
      });
      this.#runs.set(run.run, { ...run, unsealed: events });
      this.#newestRun = Math.max(this.#newestRun, run.run);
    }
  }
}

function newRun(run: number, start: string): OutboundRun {
  return {
    run,
    start,
    after: start,
    seen: 0,
    sealed: 0,
    since: {},
    isReached: false,
    unsealed: [],
  };
}

function sealOf({ run, start, after, sealed, since, unsealed }: OutboundRun): SealedRun {
  const ranges: SealedRange[] = [];
  let [from, place] = [sealed + 1, after];
  for (let at = 0; at < unsealed.length && ranges.length < rangesPerRun; at += rangeMax) {
    const events = unsealed.slice(at, at + rangeMax);
    const { number: last, id } = events.at(-1) as Unsealed;
    ranges.push(rangeOf(events, { first: from, last, after: place, regions: Object.keys(since) }));
    from = last + 1;
    if (id) place = formatMessageId(id);
  }
  return { run, start, last: from - 1, since: { ...since }, ranges };
}

interface RangeBounds {
  readonly first: number;
  readonly last: number;
  readonly after: string;
  readonly regions: readonly string[];
}

function rangeOf(
  events: readonly Unsealed[],
  { first, last, after, regions }: RangeBounds,
): SealedRange {
  const absent = NumberRanges.of(first, last);
  for (const { number } of events) absent.remove(number, number);
  const less: SealedRange["less"] = {};
  const isSelective = events.some((event) => event.regions !== undefined);
  for (const region of isSelective ? regions : []) {
    const others = events.filter((event) => !isFor(event.regions, region));
    if (others.length === 0) continue;
    const numbers = new NumberRanges();
    for (const { number } of others) numbers.add(number, number);
    const digest = digestOf(events.filter((event) => isFor(event.regions, region)));
    less[region] = { numbers: numbers.toText(), ...digest };
  }
  const holes = absent.isEmpty ? {} : { absent: absent.toText() };
  return { first, last, after, count: events.length, ...digestOf(events), ...holes, less };
}

/** Whether an event that names these regions is for one of them. */
export function isFor(regions: string | undefined, region: string): boolean {
  return regions === undefined || regions.split(",").some((name) => name.trim() === region);
}

function digestOf(events: readonly Unsealed[]): { readonly digest?: string } {
  const sum = new DigestSum();
  for (const { digest } of events) {
    if (digest === undefined) return {};
    sum.add(digest);
  }
  return { digest: sum.toText() };
}
