import { MeshError } from "@fleetmesh/core";
import type { Intake, Submission } from "../src/intake.ts";

/** An intake whose durability the test decides: at once, when told, or never. */
export class ControlledIntake implements Intake {
  readonly submissions: Submission[] = [];
  isHeld = false;
  failure: MeshError | undefined;
  readonly #held: (() => void)[] = [];
  #calls: (() => void)[] = [];

  async take(submission: Submission): Promise<void> {
    const failure = this.failure;
    if (!failure) this.submissions.push(submission);
    for (const wake of this.#calls.splice(0)) wake();
    if (this.isHeld) await new Promise<void>((resolve) => this.#held.push(resolve));
    if (failure) throw failure;
  }

  get eventIds(): string[] {
    return this.submissions.flatMap(({ events }) => events.map(({ id }) => id));
  }

  get heldCount(): number {
    return this.#held.length;
  }

  /** Lets held calls go, the newest first when `reversed`. */
  release(order: "oldest-first" | "newest-first" = "oldest-first"): void {
    this.isHeld = false;
    const held = this.#held.splice(0);
    if (order === "newest-first") held.reverse();
    for (const resolve of held) resolve();
  }

  /** Resolves when `take` was called this many times in all. */
  async called(count: number): Promise<void> {
    while (this.submissions.length < count) {
      await new Promise<void>((resolve) => this.#calls.push(resolve));
    }
  }
}
