/**
 * The newest dead letters that were settled, by id, with their number: a page goes on after one of them, and a commit that is made
 * again does not bring one back. Of this process: a commit is repeated by the process that made it.
 */
export class SettledLetters {
  readonly #countMax: number;
  readonly #numbers = new Map<string, number>();
  #last = -1;

  constructor(countMax: number) {
    this.#countMax = countMax;
  }

  /** The highest number of a letter that was ever settled here. */
  get last(): number {
    return this.#last;
  }

  add(id: string, number: number): void {
    this.#numbers.set(id, number);
    this.#last = Math.max(this.#last, number);
    for (const oldest of this.#numbers.keys()) {
      if (this.#numbers.size <= this.#countMax) break;
      this.#numbers.delete(oldest);
    }
  }

  numberOf(id: string): number | undefined {
    return this.#numbers.get(id);
  }
}
