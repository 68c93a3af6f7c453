import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { CesqlExpression } from "../src/filter/cesql/cesql-expression.ts";
import { LikePattern } from "../src/filter/cesql/like-pattern.ts";
import { LiteralSearch } from "../src/filter/cesql/literal-search.ts";
import { sampleEvent } from "./subscription-samples.ts";

interface Wanted {
  /** Undefined: any one character. "%": any text. */
  readonly character: string | undefined;
  readonly rest: readonly string[];
}

const charactersOf = (text: string): string[] => Array.from(text);

/** The next piece of a pattern; the pattern must have one. */
function nextOf([first = "", ...rest]: readonly string[]): Wanted {
  if (first === "\\" && (rest[0] === "%" || rest[0] === "_"))
    return { character: rest[0], rest: rest.slice(1) };
  return { character: first === "_" ? undefined : first, rest };
}

/** LIKE as it is defined, and slow: whether the rest of the pattern takes the rest of the text. */
function isLike(text: readonly string[], pattern: readonly string[]): boolean {
  if (pattern.length === 0) return text.length === 0;
  if (pattern[0] === "%")
    return isLike(text, pattern.slice(1)) || (text.length > 0 && isLike(text.slice(1), pattern));
  if (text.length === 0) return false;
  const { character, rest } = nextOf(pattern);
  return (character === undefined || character === text[0]) && isLike(text.slice(1), rest);
}

describe("LIKE", () => {
  it.each<[string, string, boolean]>([
    ["", "", true],
    ["", "%", true],
    ["", "%%", true],
    ["", "_", false],
    ["a", "%_", true],
    ["a", "_%_", false],
    ["ab", "_%_", true],
    ["aXbXc", "a%X%c", true],
    ["aba", "ab%ba", false],
    ["abba", "ab%ba", true],
    ["abab", "%ab", true],
    ["mississippi", "%iss_ppi", true],
    ["mississippi", "m%is_ip%", true],
    ["😀", "_", true],
    ["😀x", "__", true],
    ["x😀", "_%_", true],
    ["a😀b", "%_b", true],
    ["😀", "__", false],
    ["a😀", "a%__", false],
    ["a%c", "a\\%c", true],
    ["abc", "a\\%c", false],
    ["a\\", "a\\", true],
    ["a\\b", "a\\b", true],
    ["\\%", "\\\\%", true],
    ["\\x", "\\\\%", false],
    ["a.c", "a.c", true],
    ["abc", "a.c", false],
    ["A", "a", false],
    ["line\nbreak", "line%break", true],
  ])("of %j and %j is %s", (text, pattern, wanted) => {
    expect(new LikePattern(pattern).matches(text)).toBe(wanted);
    expect(isLike(charactersOf(text), charactersOf(pattern))).toBe(wanted);
  });

  it("agrees with its definition on any text and pattern", () => {
    const letter = fc.constantFrom("a", "b", "\\", "😀", "%", "_");
    const word = fc.array(letter, { maxLength: 12 }).map((letters) => letters.join(""));
    fc.assert(
      fc.property(word, word, (text, pattern) => {
        const like = new LikePattern(pattern);
        const wanted = isLike(charactersOf(text), charactersOf(pattern));
        expect(like.matches(text)).toBe(wanted);
        if (wanted) expect(text.startsWith(like.prefix)).toBe(true);
        if (like.isExact) expect(text === like.prefix).toBe(wanted);
      }),
      { numRuns: 3_000 },
    );
  });

  it("finds a literal whose beginning comes again right before it", () => {
    expect(new LiteralSearch("aaaaaaab").endIn("aaaaaaaaab", 0)).toBe(10);
    expect(new LiteralSearch("abababac").endIn("ababababac", 0)).toBe(10);
  });

  it("finds a literal where a plain search does, long and repetitive ones too", () => {
    const letters = fc.string({ unit: fc.constantFrom("a", "b"), maxLength: 40 });
    fc.assert(
      fc.property(letters, letters, fc.nat(10), (text, literal, from) => {
        const found = text.indexOf(literal, Math.min(from, text.length));
        const end = new LiteralSearch(literal).endIn(text, Math.min(from, text.length));
        expect(end).toBe(found < 0 ? -1 : found + literal.length);
      }),
      { numRuns: 3_000 },
    );
  });

  // Each would take longer than the age of the earth, or minutes, if anything were tried twice.
  it.each<[string, string, string]>([
    ["many %", `${"%a".repeat(4_000)}%b`, "a".repeat(200_000)],
    ["many % with _", `${"%_a".repeat(3_000)}%b`, "a".repeat(100_000)],
    ["a long literal that nearly fits", `%${"a".repeat(8_000)}b%`, "a".repeat(400_000)],
    [
      "one that fails in its middle",
      `%${"a".repeat(4_000)}b${"a".repeat(4_000)}%`,
      "a".repeat(400_000),
    ],
    ["a periodic one", `%${"ab".repeat(2_000)}b%`, "ab".repeat(200_000)],
    ["only %", "%".repeat(16_000), "a".repeat(100_000)],
  ])("does not stall on a hostile pattern: %s", (_, pattern, subject) => {
    const like = new LikePattern(pattern);
    expect(like.matches(subject)).toBe(/^%+$/.test(pattern));
  });

  it("gives up, with an error, where text by pattern is too much", () => {
    const pattern = `%${"_".repeat(7_000)}b%`;
    const event = sampleEvent({ id: "1", subject: "a".repeat(100_000) });
    const outcome = new CesqlExpression(`subject LIKE '${pattern}'`).evaluate(event);
    expect(outcome).toMatchObject({ value: false, kind: "generic" });
  });
});
