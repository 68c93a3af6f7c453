import { BitWriter } from "./bit-writer.ts";
import type { Effort } from "./compression.ts";

/**
 * A message under way: numbers as bits, and texts in one piece behind them, because only texts are worth compressing.
 * Texts are byte texts: strings with one unit (0..255) per byte.
 */
export class SectionWriter {
  readonly numbers: BitWriter;
  #texts = "";

  constructor(effort: Effort = "small") {
    this.numbers = new BitWriter(effort);
  }

  /** A byte text; its length goes to the numbers. */
  text(value: string): void {
    this.numbers.varint(value.length);
    this.#texts += value;
  }

  /** A byte text whose length the reader knows from elsewhere. */
  textOfKnownLength(value: string): void {
    this.#texts += value;
  }

  texts(): Buffer {
    return Buffer.from(this.#texts, "latin1");
  }
}
