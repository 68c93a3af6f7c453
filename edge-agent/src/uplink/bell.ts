/** Wakes one waiting loop. Rings while nobody waits are kept as one, so that no wake-up is lost. */
export class Bell {
  #isRung = false;
  #wake: (() => void) | undefined;

  ring(): void {
    this.#isRung = true;
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }

  async wait(): Promise<void> {
    if (!this.#isRung) await new Promise<void>((resolve) => (this.#wake = resolve));
    this.#isRung = false;
  }
}
