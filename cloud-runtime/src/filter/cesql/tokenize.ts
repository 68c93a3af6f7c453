import { CesqlSyntaxError } from "./syntax-error.ts";
import type { Token } from "./token.ts";

/** Sticky, so that each looks at one place only; none can go back over what it has read. */
const blanks = /[ \t\r\n]*/y;
const word = /[A-Za-z0-9_]+/y;
const symbol = /!=|<>|<=|>=|[=<>+\-*/%(),]/y;
/** CESQL's lexer: a backslash takes the next character along, and a doubled quote stands for one. */
const quotedTexts: Readonly<Record<string, RegExp>> = {
  "'": /'(?:[^'\\]|\\[^]|'')*'/y,
  '"': /"(?:[^"\\]|\\[^]|"")*"/y,
};

const usualMistakes: Readonly<Record<string, string>> = {
  ".": "an attribute's name has no dots, and CESQL cannot look into an event's data (\"pattern\" can)",
  "&": "write AND",
  "|": "write OR",
  "!": "write NOT, or != between two values",
};

/** The tokens of an expression, the last being `end`. Throws CesqlSyntaxError at a character that begins none. */
export function tokenize(text: string): Token[] {
  const tokens: Token[] = [];
  let at = matchEnd(blanks, text, 0);
  while (at < text.length) {
    const token = tokenAt(text, at);
    tokens.push(token);
    at = matchEnd(blanks, text, token.end);
  }
  return [...tokens, { kind: "end", text: "", at: text.length, end: text.length }];
}

function tokenAt(text: string, at: number): Token {
  const first = text.charAt(at);
  if (first === "'" || first === '"') return quotedText(text, at, first);
  const wordEnd = matchEnd(word, text, at);
  if (wordEnd > at) {
    const found = text.slice(at, wordEnd);
    return { kind: isDigits(found) ? "integer" : "word", text: found, at, end: wordEnd };
  }
  const end = matchEnd(symbol, text, at);
  if (end > at) return { kind: "symbol", text: text.slice(at, end), at, end };
  throw new CesqlSyntaxError(strangerText(text, at), at);
}

function quotedText(text: string, at: number, quote: string): Token {
  const pattern = quotedTexts[quote] ?? word;
  const end = matchEnd(pattern, text, at);
  if (end === at)
    throw new CesqlSyntaxError(`the text that begins here has no closing ${quote}`, at);
  return { kind: "text", text: meaning(text.slice(at + 1, end - 1), quote), at, end };
}

/** Only its own quote is escaped in a text, by a backslash or by doubling; every other backslash stands for itself. */
function meaning(inside: string, quote: string): string {
  const pairs = quote === "'" ? /\\[^]|''/g : /\\[^]|""/g;
  return inside.replace(pairs, (pair) => (pair.endsWith(quote) ? quote : pair));
}

function strangerText(text: string, at: number): string {
  const char = String.fromCodePoint(text.codePointAt(at) ?? 0);
  const mistake = usualMistakes[char];
  const hint = mistake === undefined ? "" : `: ${mistake}`;
  return `${JSON.stringify(char)} has no meaning in CESQL${hint}`;
}

function isDigits(text: string): boolean {
  for (let index = 0; index < text.length; index += 1)
    if (text.charCodeAt(index) < 48 || text.charCodeAt(index) > 57) return false;
  return true;
}

function matchEnd(pattern: RegExp, text: string, at: number): number {
  pattern.lastIndex = at;
  return pattern.test(text) ? pattern.lastIndex : at;
}
