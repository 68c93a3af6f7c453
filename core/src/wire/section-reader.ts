import { BitReader } from "./bit-reader.ts";
import { wireInvalid, wireTooLarge } from "./wire-invalid.ts";

export interface WireLimits {
  /** Bytes of all events once decoded, attributes and data; also the most that compression may unfold to. */
  readonly decodedBytesMax: number;
  readonly eventCountMax: number;
}

/** The two sections of a message while it is read, and what it may still unfold to. */
export class SectionReader {
  readonly numbers: BitReader;
  readonly #texts: string;
  #at = 0;
  #budget: number;
  #memory: number;

  constructor(numbers: Uint8Array, texts: Uint8Array, limits: WireLimits) {
    this.numbers = new BitReader(numbers);
    this.#texts = Buffer.from(texts.buffer, texts.byteOffset, texts.length).toString("latin1");
    this.#budget = limits.decodedBytesMax;
    this.#memory = memoryFactor * limits.decodedBytesMax;
  }

  /** A byte text behind its length. */
  text(): string {
    return this.textOfKnownLength(this.numbers.varint());
  }

  textOfKnownLength(length: number): string {
    const start = this.#at;
    if (length > this.#texts.length - start) throw wireInvalid("a text goes past the end");
    this.#at = start + length;
    return this.#texts.slice(start, this.#at);
  }

  /** Called before memory is taken for what the message unfolds to. Throws WIRE_TOO_LARGE beyond the limit. */
  spend(byteCount: number): void {
    this.#budget -= byteCount;
    if (this.#budget < 0) throw wireTooLarge("its events unfold to more than decodedBytesMax");
  }

  /** Called before working memory is taken for columns that may cost the sender nothing. */
  hold(byteCount: number): void {
    this.#memory -= byteCount;
    if (this.#memory < 0) throw wireTooLarge("its columns need more memory than its events may");
  }

  /** Throws unless both sections were read to their end. */
  assertEnd(): void {
    this.numbers.assertEnd();
    if (this.#at < this.#texts.length) throw wireInvalid("there are texts left over");
  }
}

/** A scalar of JSON is two bytes with its comma, and no column takes more than 16 for it while it is read. */
const memoryFactor = 8;
