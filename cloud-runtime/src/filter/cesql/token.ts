/** `word` is a keyword, a name of an attribute or of a function; `integer` is digits without a sign; `end` is behind the last. */
export type TokenKind = "word" | "integer" | "text" | "symbol" | "end";

export interface Token {
  readonly kind: TokenKind;
  /** As it stands in the expression; of a text what it means, without quotes and escapes. */
  readonly text: string;
  /** First character, and the one behind the last, counted from 0. */
  readonly at: number;
  readonly end: number;
}

/** A token as an error names it. */
export function tokenName({ kind, text }: Token): string {
  if (kind === "end") return "the end";
  const short = text.length > 40 ? `${text.slice(0, 40)}…` : text;
  return kind === "text" ? `the text '${short}'` : `"${short}"`;
}
