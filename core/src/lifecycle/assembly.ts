import type { Part } from "./part.ts";

export const stopDeadlineMsDefault = 8_000;

/** Parts that start in order and stop in reverse. A failed start stops what had started, then throws the first error. */
export class Assembly implements Part {
  readonly name: string;
  readonly #parts: Part[] = [];
  #started: Part[] = [];

  constructor(name: string, parts: readonly Part[] = []) {
    this.name = name;
    this.#parts.push(...parts);
  }

  add(part: Part): void {
    this.#parts.push(part);
  }

  async start(): Promise<void> {
    for (const part of this.#parts) {
      this.#started.push(part);
      try {
        await part.start();
      } catch (error) {
        await this.stop(AbortSignal.timeout(stopDeadlineMsDefault)).catch(() => undefined);
        throw error;
      }
    }
  }

  async stop(deadline: AbortSignal): Promise<void> {
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
