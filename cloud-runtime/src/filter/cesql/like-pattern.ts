import { isInsidePair, nextCharacter } from "./characters.ts";
import { LiteralSearch } from "./literal-search.ts";

/** A character of a pattern, or any one character. */
type Piece = string | undefined;

/** What stands between two `%`. It has always the same number of characters, so the leftmost place is the best one. */
interface Segment {
  /** Behind the segment when the text has it at this place, else -1. */
  endAt(text: string, from: number): number;
  /** Behind the first place at or after `from` where the text has it, else -1. */
  endIn(text: string, from: number): number;
  /** Where the text ends with it, else -1. */
  startAtEnd(text: string): number;
}

/**
 * A pattern of LIKE: `%` is any text, `_` any one character, `\%` and `\_` are themselves, every other backslash too
 * (CESQL 3.4.3). Nothing is tried twice: segments are found from left to right, each as early as it can be. So the time is
 * linear in the text, and text by pattern at worst where a segment that must be searched for has a `_`.
 */
export class LikePattern {
  /** What the text must begin with; all of it when `isExact`. */
  readonly prefix: string;
  readonly isExact: boolean;
  /** An upper bound for the steps per character of the text. */
  readonly stepsPerCharacter: number;
  readonly #first: Segment;
  readonly #middle: readonly Segment[];
  /** Undefined when the pattern has no `%`. */
  readonly #last: Segment | undefined;

  constructor(pattern: string) {
    const [first = [], ...others] = segmentsOf(pattern);
    const last = others.pop();
    const middle = others.filter((pieces) => pieces.length > 0);
    const wildcard = first.indexOf(undefined);
    this.prefix = first.slice(0, wildcard < 0 ? undefined : wildcard).join("");
    this.isExact = last === undefined && wildcard < 0;
    this.stepsPerCharacter = Math.max(1, ...middle.map(stepsOf));
    this.#first = segmentOf(first);
    this.#middle = middle.map(segmentOf);
    this.#last = last && segmentOf(last);
  }

  matches(text: string): boolean {
    let at = this.#first.endAt(text, 0);
    if (this.#last === undefined) return at === text.length;
    for (let index = 0; index < this.#middle.length && at >= 0; index += 1)
      at = this.#middle[index]?.endIn(text, at) ?? -1;
    return at >= 0 && this.#last.startAtEnd(text) >= at;
  }
}

function segmentsOf(pattern: string): Piece[][] {
  const segments: Piece[][] = [[]];
  for (let index = 0; index < pattern.length; index += 1) {
    const char = pattern.charAt(index);
    const next = pattern.charAt(index + 1);
    if (char === "%") segments.push([]);
    else if (char === "_") segments.at(-1)?.push(undefined);
    else if (char === "\\" && (next === "%" || next === "_")) {
      segments.at(-1)?.push(next);
      index += 1;
    } else segments.at(-1)?.push(char);
  }
  return segments;
}

function stepsOf(pieces: readonly Piece[]): number {
  return pieces.includes(undefined) ? pieces.length : 2;
}

function segmentOf(pieces: readonly Piece[]): Segment {
  return pieces.includes(undefined) ? new WildSegment(pieces) : new LiteralSegment(pieces.join(""));
}

class LiteralSegment implements Segment {
  readonly #literal: string;
  readonly #search: LiteralSearch;

  constructor(literal: string) {
    this.#literal = literal;
    this.#search = new LiteralSearch(literal);
  }

  endAt(text: string, from: number): number {
    return text.startsWith(this.#literal, from) ? from + this.#literal.length : -1;
  }

  endIn(text: string, from: number): number {
    return this.#search.endIn(text, from);
  }

  startAtEnd(text: string): number {
    return text.endsWith(this.#literal) ? text.length - this.#literal.length : -1;
  }
}

/** With a `_` in it, which takes two units of the text where a character is that long. */
class WildSegment implements Segment {
  readonly #pieces: readonly Piece[];

  constructor(pieces: readonly Piece[]) {
    this.#pieces = pieces;
  }

  endAt(text: string, from: number): number {
    let at = from;
    for (const piece of this.#pieces) {
      if (at >= text.length) return -1;
      if (piece === undefined) at = nextCharacter(text, at);
      else if (piece === text.charAt(at)) at += 1;
      else return -1;
    }
    return at;
  }

  endIn(text: string, from: number): number {
    for (let start = from; start < text.length; start = nextCharacter(text, start)) {
      const end = this.endAt(text, start);
      if (end >= 0) return end;
    }
    return -1;
  }

  startAtEnd(text: string): number {
    let at = text.length;
    for (let index = this.#pieces.length - 1; index >= 0; index -= 1) {
      const piece = this.#pieces[index];
      if (at <= 0) return -1;
      at -= 1;
      if (piece === undefined) at -= isInsidePair(text, at) ? 1 : 0;
      else if (piece !== text.charAt(at)) return -1;
    }
    return at;
  }
}
