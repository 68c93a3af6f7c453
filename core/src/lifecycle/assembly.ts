import { MeshError } from "../error/mesh-error.ts";
import type { Part } from "./part.ts";

export const stopDeadlineMsDefault = 8_000;

/**
 * Parts that start in order and stop in reverse. A failed start stops what had started, then throws the first error.
 * A stop during the start is a failed start (STOPPING): nothing is left running.
 */
export class Assembly implements Part {
  readonly name: string;
  readonly #parts: Part[] = [];
  #started: Part[] = [];
  #stopping: Promise<void> | undefined;

  constructor(name: string, parts: readonly Part[] = []) {
    this.name = name;
    this.#parts.push(...parts);
  }

  add(part: Part): void {
    this.#parts.push(part);
  }

  async start(): Promise<void> {
    const stopping = this.#stopping;
    this.#stopping = undefined;
    await stopping?.catch(() => undefined);
    for (const part of this.#parts) {
      this.#started.push(part);
      try {
        await part.start();
        this.#assertWanted();
      } catch (error) {
        const deadline = AbortSignal.timeout(stopDeadlineMsDefault);
        // A stop that came in between had the part stopped before it stood: once more, now that it does.
        await part.stop(deadline).catch(() => undefined);
        await this.stop(deadline).catch(() => undefined);
        throw error;
      }
    }
  }

  /** Resolves when all have stopped, for every caller. */
  stop(deadline: AbortSignal): Promise<void> {
    this.#stopping ??= this.#stopAll(deadline);
    return this.#stopping;
  }

  #assertWanted(): void {
    if (this.#stopping !== undefined)
      throw new MeshError("STOPPING", `${this.name} was stopped while it started`);
  }

  async #stopAll(deadline: AbortSignal): Promise<void> {
    const started = this.#started.reverse();
    this.#started = [];
    const failures: unknown[] = [];
    for (const part of started) {
      await part.stop(deadline).catch((error: unknown) => failures.push(error));
    }
    if (failures.length > 0)
      throw new AggregateError(failures, `${this.name} did not stop cleanly`);
  }
}
