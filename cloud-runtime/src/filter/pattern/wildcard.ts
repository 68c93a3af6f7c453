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
  const codes = Uint16Array.from({ length: piece.length }, (_, at) => piece.charCodeAt(at));
  const fallbacks = fallbacksOf(codes);
  return (text, from) => {
    let matched = 0;
    for (let at = from; at < text.length; at += 1) {
      const code = text.charCodeAt(at);
      while (matched > 0 && codes[matched] !== code) matched = fallbacks[matched - 1] as number;
      if (codes[matched] === code) matched += 1;
      if (matched === codes.length) return at + 1;
    }
    return -1;
  };
}

/** For each place in the piece, how long a beginning of it ends there too. */
function fallbacksOf(codes: Uint16Array): Int32Array {
  const fallbacks = new Int32Array(codes.length);
  let matched = 0;
  for (let at = 1; at < codes.length; at += 1) {
    while (matched > 0 && codes[matched] !== codes[at]) matched = fallbacks[matched - 1] as number;
    if (codes[matched] === codes[at]) matched += 1;
    fallbacks[at] = matched;
  }
  return fallbacks;
}
