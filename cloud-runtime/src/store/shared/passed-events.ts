import type { StoredEvent } from "../event-store.ts";
import { runShards, type EventNumber } from "./event-number.ts";
import type { GroupPlace } from "./group-place.ts";
import { NumberRanges } from "./number-ranges.ts";

interface PassedRun {
  readonly through: number;
  readonly open: NumberRanges;
}

/** The events that a place says are settled. */
export class PassedEvents {
  readonly #runs = new Map<string, Map<number, PassedRun>>();
  /** By origin and producer. */
  readonly #newest = new Map<string, Map<number, number>>();

  constructor(place: GroupPlace) {
    for (const { region, runs } of place.origins) {
      const [passed, newest] = [new Map<number, PassedRun>(), new Map<number, number>()];
      for (const { run, through, open } of runs) {
        passed.set(run, { through, open: NumberRanges.parse(open) });
        const shard = run % runShards;
        newest.set(shard, Math.max(run, newest.get(shard) ?? 0));
      }
      this.#runs.set(region, passed);
      this.#newest.set(region, newest);
    }
  }

  has(origin: string, { run, number }: EventNumber): boolean {
    const named = this.#runs.get(origin)?.get(run);
    if (named) return number <= named.through && !named.open.has(number);
    return run < (this.#newest.get(origin)?.get(run % runShards) ?? 0);
  }

  /** The group was given it already, in another region. `number`: its own, as it reads. */
  includes(
    { origin: { region }, sentMs }: Pick<StoredEvent, "origin" | "sentMs">,
    number: EventNumber | undefined,
  ): boolean {
    if (number) return this.has(region, number);
    // The mesh's own without a number is from before its topic went anywhere; what others wrote into Pulsar is better given twice.
    return sentMs !== undefined && (this.#runs.get(region)?.size ?? 0) > 0;
  }

  /** Of this origin, some lie before others that are passed. */
  hasOpen(origin: string): boolean {
    return [...(this.#runs.get(origin)?.values() ?? [])].some(({ open }) => !open.isEmpty);
  }
}
