/**
 * Whether somebody else had the delivery state since this process last had it. Each opening of a state log has a number: the one
 * that is found there is our own last one, or another node's.
 */
export class Tenure {
  readonly #listeners = new Set<() => void>();
  #session: number | undefined;

  /** Told before the first change of the new session can be made. */
  opened({ before, session }: { readonly before: number; readonly session: number }): void {
    const isInterrupted = this.#session !== undefined && this.#session !== before;
    this.#session = session;
    if (isInterrupted) for (const listener of this.#listeners) listener();
  }

  onInterrupted(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }
}
