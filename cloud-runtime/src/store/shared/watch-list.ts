export type AppendedListener = (topics: readonly string[]) => void;

/** Who wants to know that topics grew. A listener that throws must not keep the others, or the append's answer, waiting. */
export class WatchList {
  readonly #listeners = new Set<AppendedListener>();
  readonly #onFailure: (error: unknown) => void;

  constructor(onFailure: (error: unknown) => void) {
    this.#onFailure = onFailure;
  }

  add(listener: AppendedListener): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  tell(topics: readonly string[]): void {
    if (topics.length === 0) return;
    for (const listener of this.#listeners) {
      try {
        listener(topics);
      } catch (error) {
        this.#onFailure(error);
      }
    }
  }

  clear(): void {
    this.#listeners.clear();
  }
}
