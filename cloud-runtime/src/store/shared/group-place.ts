import { z } from "zod";
import { runShards, type EventNumber } from "./event-number.ts";
import { NumberRanges } from "./number-ranges.ts";

const whole = z.number().int().min(0);

export const groupPlaceRecord = z.object({
  /** When it was told, by the wall clock of who told it. */
  atMs: z.number(),
  origins: z.array(
    z.object({
      region: z.string(),
      /** No event of this origin that is not passed was sent before. Wall clock of the origin. */
      sentMs: z.number(),
      /** `open`: numbers up to `through` that are not passed. Runs of a producer before its last one are whole when not named. */
      runs: z.array(z.object({ run: whole, through: whole, open: z.string() })),
    }),
  ),
});

/**
 * How far a consumer group has come in one topic, in words that every region understands: by origin and producer the events that are
 * settled. Positions mean something in one region only.
 */
export type GroupPlace = z.infer<typeof groupPlaceRecord>;

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

  /** Events of this origin have been given to the group. */
  knows(origin: string): boolean {
    return (this.#runs.get(origin)?.size ?? 0) > 0;
  }

  /** Of this origin, some lie before others that are passed. */
  hasOpen(origin: string): boolean {
    return [...(this.#runs.get(origin)?.values() ?? [])].some(({ open }) => !open.isEmpty);
  }
}
