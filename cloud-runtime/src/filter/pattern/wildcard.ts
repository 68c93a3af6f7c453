import { invalidFilter } from "../invalid-filter.ts";

/** The plain search compares at most so often per character. */
const shortPieceMax = 16;

export interface Wildcard {
  readonly matches: (text: string) => boolean;
  /** What every matching text begins with; empty when it may begin with anything. */
  readonly head: string;
}

/**
 * `*` is any run of characters, also none; `\*` is a star and `\\` a backslash. Each piece between stars is looked for once,
 * from left to right: time is linear in the text, whatever the pattern.
 */
export function compileWildcard(pattern: string, path: string): Wildcard {
  const [head = "", ...others] = piecesOf(pattern, path);
  const tail = others.pop();
  if (tail === undefined) return { matches: (text) => text === head, head };
  const searches = others.filter((piece) => piece !== "").map(searchOf);
  const matches = (text: string): boolean => {
    const end = text.length - tail.length;
    if (end < head.length || !text.startsWith(head) || !text.endsWith(tail)) return false;
    let at = head.length;
    for (const search of searches) {
      at = search(text, at);
      if (at === -1 || at > end) return false;
    }
    return true;
  };
  return { matches, head };
}

function piecesOf(pattern: string, path: string): string[] {
  const pieces: string[] = [];
  let piece = "";
  for (let at = 0; at < pattern.length; at += 1) {
    const character = pattern.charAt(at);
    if (character === "*") {
      pieces.push(piece);
      piece = "";
    } else if (character === "\\") {
      at += 1;
      const escaped = pattern.charAt(at);
      if (escaped !== "*" && escaped !== "\\")
        throw invalidFilter(path, 'has a "\\" that is not before "*" or "\\"');
      piece += escaped;
    } else piece += character;
  }
  return [...pieces, piece];
}

/** From a place on, the place behind the first occurrence; -1 when there is none. */
type Search = (text: string, from: number) => number;

function searchOf(piece: string): Search {
  if (piece.length > shortPieceMax) return knuthMorrisPratt(piece);
  return (text, from) => {
    const at = text.indexOf(piece, from);
    return at === -1 ? -1 : at + piece.length;
  };
}

function knuthMorrisPratt(piece: string): Search {
  const fallbacks = new Int32Array(piece.length);
  for (let at = 1, matched = 0; at < piece.length; at += 1) {
    matched = advance(piece, fallbacks, { matched, next: piece.charCodeAt(at) });
    fallbacks[at] = matched;
  }
  return (text, from) => {
    for (let at = from, matched = 0; at < text.length; at += 1) {
      matched = advance(piece, fallbacks, { matched, next: text.charCodeAt(at) });
      if (matched === piece.length) return at + 1;
    }
    return -1;
  };
}

/** How many characters of the piece match up to here, after one more. */
function advance(
  piece: string,
  fallbacks: Int32Array,
  { matched, next }: { matched: number; next: number },
): number {
  let length = matched;
  while (length > 0 && piece.charCodeAt(length) !== next) length = fallbacks[length - 1] ?? 0;
  return piece.charCodeAt(length) === next ? length + 1 : 0;
}
