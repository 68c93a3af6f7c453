import { characterCount } from "./characters.ts";

/** Where in the expression, for people: both count from 1, the column in characters of the line. */
export interface Place {
  readonly line: number;
  readonly column: number;
}

export function placeOf(text: string, at: number): Place {
  const before = text.slice(0, at).split("\n");
  return { line: before.length, column: characterCount(before.at(-1) ?? "") + 1 };
}

/** Most expressions are one line: then the line is not worth a word. */
export function placeText(text: string, at: number): string {
  const { line, column } = placeOf(text, at);
  return text.includes("\n") ? `line ${line}, column ${column}` : `column ${column}`;
}
