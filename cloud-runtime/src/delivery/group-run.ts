import type { GroupPlace } from "../store/shared/group-place.ts";
import { NumberRanges } from "../store/shared/number-ranges.ts";

type RunRecord = GroupPlace["origins"][number]["runs"][number];

/** Of one run. What is not for this region leaves holes, too, and never comes. */
const holesMax = 256;
const holeMsMax = 3_600_000;

/** One run of a producer, as far as a group has come in it. */
export class GroupRun {
  #through: number;
  /** With when they were sent, as all times here: wall clock of their origin, milliseconds. */
  readonly #inHand = new Map<number, number>();
  /** Numbers that were never seen, with the time before which they were not sent. The oldest comes first. */
  readonly #holes = new Map<number, number>();
  #holesMax = holesMax;

  constructor(through: number) {
    this.#through = through;
  }

  static fromRecord({ through, open }: RunRecord, sentMs: number): GroupRun {
    const run = new GroupRun(through);
    // Also those that another region had in hand: here they are yet to come.
    for (const number of NumberRanges.parse(open).numbers()) run.#holes.set(number, sentMs);
    run.#holesMax = Math.max(holesMax, run.#holes.size);
    return run;
  }

  get isWhole(): boolean {
    return this.#inHand.size + this.#holes.size === 0;
  }

  /** When the oldest of the numbers was sent that are not passed. */
  get openSinceMs(): number {
    let sinceMs = Infinity;
    for (const open of [this.#inHand, this.#holes])
      for (const sentMs of open.values()) sinceMs = Math.min(sinceMs, sentMs);
    return sinceMs;
  }

  /** `lastMs`: when the last event before it was sent. */
  read(number: number, lastMs: number): void {
    const first = Math.max(this.#through + 1, number - holesMax);
    for (let hole = first; hole < number; hole += 1) this.#holes.set(hole, lastMs);
    this.#through = Math.max(this.#through, number);
    this.#inHand.delete(number);
    this.#holes.delete(number);
    this.forget(lastMs);
  }

  take(number: number, sentMs: number): void {
    this.#inHand.set(number, sentMs);
  }

  /** False when it was not in hand. */
  settle(number: number): boolean {
    return this.#inHand.delete(number);
  }

  /** Holes that are too old, or too many, count as passed. */
  forget(nowMs: number): void {
    for (const [number, sentMs] of this.#holes) {
      if (this.#holes.size <= this.#holesMax && sentMs >= nowMs - holeMsMax) return;
      this.#holes.delete(number);
    }
  }

  toRecord(run: number): RunRecord {
    const open = new NumberRanges();
    for (const number of [...this.#inHand.keys(), ...this.#holes.keys()]) open.add(number, number);
    return { run, through: this.#through, open: open.toText() };
  }
}
