/** Bounds what one evaluation may cost, whatever the expression and however long the event's attributes. */
export class Meter {
  #left = 0;

  refill(steps: number): void {
    this.#left = steps;
  }

  /** False when so much is not left. */
  spend(steps: number): boolean {
    this.#left -= steps;
    return this.#left >= 0;
  }
}
