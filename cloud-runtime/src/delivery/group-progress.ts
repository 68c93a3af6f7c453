import type { StoredEvent } from "../store/event-store.ts";
import { parseNumber, runShards, type EventNumber } from "../store/shared/event-number.ts";
import type { GroupPlace } from "../store/shared/group-place.ts";
import { PassedEvents } from "../store/shared/passed-events.ts";
import { GroupRun } from "./group-run.ts";

/** What all regions call an event by. */
export type NumberedEvent = Pick<StoredEvent, "origin" | "number" | "sentMs">;

/** An event that is in hand, as its group's progress knows it. */
export interface TakenNumber {
  readonly run: GroupRun;
  readonly number: number;
}

interface Origin {
  /** When the last event that was read was sent. */
  lastMs: number;
  readonly runs: Map<number, GroupRun>;
}

export interface GroupProgressOptions {
  /** What the group had been given when it came here from another region. */
  readonly passed?: GroupPlace | undefined;
  /** As this region last told it. */
  readonly told?: GroupPlace | undefined;
}

/** A place at rest is told again, should its message have been lost. */
const repeatMs = [10_000, 600_000, 3_600_000];

/**
 * How far a consumer group has come in one topic, by the numbers that events have in all regions. Only what other regions could give
 * it too has one; an event without a number is left to positions.
 */
export class GroupProgress {
  readonly #passed: PassedEvents | undefined;
  readonly #origins = new Map<string, Origin>();
  #hasChanged = false;
  #repeats = 0;
  #nextMs = Infinity;
  /** Of the last event: it is asked for up to three times while the event is read. */
  #parsedText: string | undefined;
  #parsed: EventNumber | undefined;

  constructor({ passed, told }: GroupProgressOptions) {
    this.#passed = passed && new PassedEvents(passed);
    const base = told ?? passed;
    for (const { region, sentMs, runs } of base?.origins ?? []) {
      const origin: Origin = { lastMs: sentMs, runs: new Map() };
      for (const record of runs) origin.runs.set(record.run, GroupRun.fromRecord(record, sentMs));
      this.#origins.set(region, origin);
    }
  }

  /** The group was given it already, in another region. */
  hasPassed(stored: NumberedEvent): boolean {
    return this.#passed?.includes(stored, this.#numberOf(stored)) === true;
  }

  /** It was read, in the topic's order. It counts as settled unless it is taken in hand now. */
  read(stored: NumberedEvent): void {
    const found = this.#find(stored);
    if (!found) return;
    const { origin, run, number, sentMs } = found;
    run.read(number, origin.lastMs);
    origin.lastMs = Math.max(origin.lastMs, sentMs);
    this.#hasChanged = true;
  }

  /** Undefined when it has no number. */
  take(stored: NumberedEvent): TakenNumber | undefined {
    const found = this.#find(stored);
    found?.run.take(found.number, found.sentMs);
    return found;
  }

  settle({ run, number }: TakenNumber): void {
    if (run.settle(number)) this.#hasChanged = true;
  }

  /** The place, if it is another than when this was last asked, or may have been lost on its way. */
  takePlace(atMs: number): GroupPlace | undefined {
    if (!this.#hasChanged && atMs < this.#nextMs) return undefined;
    this.#repeats = this.#hasChanged ? 0 : this.#repeats + 1;
    this.#nextMs = atMs + (repeatMs[this.#repeats] ?? Infinity);
    this.#hasChanged = false;
    const origins = [...this.#origins].map(([region, { lastMs, runs }]) => {
      const open = [...runs.values()].map(({ openSinceMs }) => openSinceMs);
      const sentMs = Math.min(lastMs, ...open);
      return { region, sentMs, runs: [...runs].map(([run, each]) => each.toRecord(run)) };
    });
    return { atMs, origins };
  }

  /** It could not be told: it is to be asked for again. */
  putBack(): void {
    this.#hasChanged = true;
  }

  #find(stored: NumberedEvent) {
    const parsed = this.#numberOf(stored);
    if (!parsed) return undefined;
    const { sentMs = 0 } = stored;
    const { region } = stored.origin;
    const origin = this.#origins.get(region) ?? {
      lastMs: sentMs,
      runs: new Map<number, GroupRun>(),
    };
    this.#origins.set(region, origin);
    const run = origin.runs.get(parsed.run) ?? begin(origin, parsed.run, parsed.number);
    return run && { origin, run, number: parsed.number, sentMs };
  }

  #numberOf({ number }: NumberedEvent): EventNumber | undefined {
    if (number !== this.#parsedText) {
      this.#parsedText = number;
      this.#parsed = parseNumber(number);
    }
    return this.#parsed;
  }
}

/** Undefined for a run that was over, and whole, before another of its producer began. */
function begin({ runs, lastMs }: Origin, run: number, number: number): GroupRun | undefined {
  const ofProducer = [...runs].filter(([each]) => each % runShards === run % runShards);
  if (ofProducer.some(([each]) => each > run)) return undefined;
  for (const [over, each] of ofProducer) {
    each.forget(lastMs);
    if (each.isWhole) runs.delete(over);
  }
  // Of a producer that is new here it is not known since when its events come.
  const made = new GroupRun(ofProducer.length > 0 ? 0 : number - 1);
  runs.set(run, made);
  return made;
}
