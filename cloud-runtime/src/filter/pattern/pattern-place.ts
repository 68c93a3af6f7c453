import { invalidFilter } from "../invalid-filter.ts";

const depthMax = 32;
const conditionCountMax = 1_000;
const textLengthMax = 2_000;

/** How much of one pattern has been compiled: a stranger's pattern must not overflow the stack or hold the event loop. */
export class PatternTally {
  conditionCount = 0;
}

/** Where in a pattern the compiler is. */
export class PatternPlace {
  readonly path: string;
  /** What is compared there: an attribute's canonical text, or a value of the data as it is. */
  readonly isAttribute: boolean;
  readonly #depth: number;
  readonly #tally: PatternTally;

  constructor(path: string, tally: PatternTally, at = { depth: 0, isAttribute: false }) {
    this.path = path;
    this.isAttribute = at.isAttribute;
    this.#depth = at.depth;
    this.#tally = tally;
  }

  /** One level further in. Throws SUBSCRIPTION_INVALID when that is too deep, before anything goes there. */
  under(step: string, isAttribute = this.isAttribute): PatternPlace {
    const path = `${this.path}${step}`;
    const depth = this.#depth + 1;
    if (depth > depthMax) throw invalidFilter(path, `is nested deeper than ${depthMax}`);
    return new PatternPlace(path, this.#tally, { depth, isAttribute });
  }

  /** Throws SUBSCRIPTION_INVALID when there are too many conditions. */
  countCondition(): void {
    this.#tally.conditionCount += 1;
    if (this.#tally.conditionCount > conditionCountMax)
      throw invalidFilter(this.path, `makes more than ${conditionCountMax} conditions`);
  }

  /** A text that may be compared with. */
  text(value: unknown): string {
    if (typeof value !== "string" || value === "")
      throw invalidFilter(this.path, "must be a text that is not empty");
    if (value.length > textLengthMax)
      throw invalidFilter(this.path, `is longer than ${textLengthMax} characters`);
    return value;
  }
}

export function isPlainObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
