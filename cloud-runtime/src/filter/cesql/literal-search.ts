/** So short a text is found by comparing at each place; a longer one could make that slow, and V8's own search too. */
const shortMax = 6;

/** Finds a text in others in time linear in both, whatever they are (Knuth, Morris, Pratt). */
export class LiteralSearch {
  readonly #literal: string;
  /** Of each beginning of the literal: how long its longest end is that is a beginning too. */
  readonly #borders: Uint16Array;

  constructor(literal: string) {
    this.#literal = literal;
    this.#borders = literal.length <= shortMax ? new Uint16Array() : bordersOf(literal);
  }

  /** Behind the first place at or after `from` where the text has the literal; -1 when there is none. */
  endIn(text: string, from: number): number {
    const literal = this.#literal;
    if (literal.length <= shortMax) {
      const found = text.indexOf(literal, from);
      return found < 0 ? -1 : found + literal.length;
    }
    let matched = 0;
    for (let index = from; index < text.length; index += 1) {
      const unit = text.charCodeAt(index);
      while (matched > 0 && unit !== literal.charCodeAt(matched))
        matched = this.#borders[matched - 1] ?? 0;
      if (unit === literal.charCodeAt(matched)) matched += 1;
      if (matched === literal.length) return index + 1;
    }
    return -1;
  }
}

function bordersOf(literal: string): Uint16Array {
  const borders = new Uint16Array(literal.length);
  let matched = 0;
  for (let index = 1; index < literal.length; index += 1) {
    const unit = literal.charCodeAt(index);
    while (matched > 0 && unit !== literal.charCodeAt(matched)) matched = borders[matched - 1] ?? 0;
    if (unit === literal.charCodeAt(matched)) matched += 1;
    borders[index] = matched;
  }
  return borders;
}
