import fc from "fast-check";
import { MeshError } from "@fleetmesh/core";
import { describe, expect, it } from "vitest";
import { compileSql } from "../src/filter/cesql/compile-sql.ts";
import { expressionLengthMax, parseCesql } from "../src/filter/cesql/parse-cesql.ts";
import { CesqlSyntaxError } from "../src/filter/cesql/syntax-error.ts";
import { compileFilter } from "../src/filter/compile-filter.ts";

/** What a user reads when the expression is refused. */
function refusal(sql: unknown): MeshError {
  try {
    compileSql(sql, "filters[0].sql", compileFilter);
  } catch (error) {
    if (MeshError.is(error, "SUBSCRIPTION_INVALID")) return error;
    throw error;
  }
  throw new Error(`${String(sql)} was taken`);
}

describe("an expression that is refused", () => {
  it.each<[unknown, RegExp]>([
    [7, /filters\[0\]\.sql must be a CESQL expression, e\.g\. "type = 'x'/],
    ["  ", /must be a CESQL expression/],
    ["type =", /column 7: expected an attribute, a value, .* found the end$/],
    ["type == 'x'", /column 7: expected .* found "="; two values are compared with one =/],
    ["type = 'x' AND", /column 15: expected .* found the end/],
    ["AND type", /column 1: expected .* found "AND"/],
    ["type = 'x", /column 8: the text that begins here has no closing '/],
    ["type LIKE subject", /column 11: expected a pattern in quotes after LIKE, found "subject"/],
    ["type LIKE 123", /column 11: expected a pattern in quotes/],
    [
      "type LIK 'x%'",
      /column 6: expected an operator or the end, found "LIK"; did you mean LIKE\?/,
    ],
    ["type = 'x' ADN TRUE", /column 12: .* did you mean AND\?/],
    [
      "subject IS NULL",
      /column 9: .* whether an attribute is there is asked with "EXISTS subject"/,
    ],
    ["EXISTS(subject)", /column 7: expected an attribute's name, without brackets, after EXISTS/],
    ["type IN ()", /column 10: expected .* found "\)"/],
    ["type IN 'x'", /column 9: expected \( and the values/],
    ["type NOT 'x'", /column 6: expected an operator or the end, found "NOT"/],
    ["(type = 'x'", /column 12: expected an operator or \), found the end/],
    ["type = 'x')", /column 11: expected an operator or the end, found "\)"/],
    ["LENGTH(type, ", /column 14: expected/],
    ["ABS(", /column 5: expected .* found the end/],
    ["data.speed > 5", /column 5: "\." has no meaning in CESQL: .*"pattern" can/],
    ["EXISTS data", /column 1: CESQL cannot look into an event's data/],
    ["a = 1 && b = 2", /column 7: "&" has no meaning in CESQL: write AND/],
    ["a = 1;", /column 6: ";" has no meaning/],
    ["größe = 1", /column 3: "ö" has no meaning/],
    ["a = 2147483648", /column 5: the integer is outside -2147483648 to 2147483647/],
    ["a = -2147483649", /column 5: the integer is outside/],
    ["a = + 5", /column 7: expected digits right after \+/],
    ["my_attribute = 1", /column 1: an attribute's name has letters and digits only/],
    ["F2(a)", /column 1: "F2" cannot be a function's name/],
    [
      "type = 'x' AND LENGHT(type) > 1",
      /column 16: there is no function LENGHT; did you mean LENGTH\?/,
    ],
    ["ZZZZZZZZZ(type)", /there is no function ZZZZZZZZZ; there are INT, BOOL, /],
    ["LENGTH(type, 1) = 1", /column 1: LENGTH takes 1 argument, not 2/],
    ["INT() = 1", /INT takes 1 argument, not 0/],
    ["CONCAT_WS() = ''", /CONCAT_WS takes 1 or more arguments, not 0/],
    ["SUBSTRING(type) = ''", /SUBSTRING takes 2 or 3 arguments, not 1/],
    ["1 + 1", /column 1: the expression gives an integer, and a filter must give TRUE or FALSE/],
    ["type", /the expression gives a text, and a filter must/],
    ["type = 'x'\n  AND type\n  LIKE 5", /line 3, column 8: expected a pattern/],
    ["'😀' = 'x", /column 7: the text that begins here/],
  ])("says where and why: %j", (sql, wanted) => {
    expect(refusal(sql).message).toMatch(wanted);
  });

  it("gives the place to machines too", () => {
    const place = { path: "filters[0].sql", line: 2, column: 5 };
    expect(refusal("TRUE\nAND &").details).toEqual(place);
  });

  it("is too long", () => {
    const long = `type = '${"x".repeat(expressionLengthMax)}'`;
    expect(refusal(long).message).toMatch(/longer than 16384 characters/);
  });

  it.each([
    ["brackets", `${"(".repeat(8_000)}TRUE${")".repeat(8_000)}`],
    ["open brackets", "(".repeat(16_000)],
    ["NOT", `${"NOT ".repeat(4_000)}TRUE`],
    ["minus", `${"-".repeat(16_000)}1`],
    ["calls", "ABS(".repeat(4_000)],
    ["sums", `1${"+1".repeat(8_000)} = 1`],
    ["comparisons", `1${"=1".repeat(8_000)}`],
    ["sets", "1 IN (".repeat(2_000)],
    ["patterns", `'a'${" LIKE 'a'".repeat(1_500)}`],
    ["mixed logic", `TRUE${" AND TRUE OR TRUE".repeat(900)}`],
  ])("is nested too deep: %s", (_, sql) => {
    expect(refusal(sql).message).toMatch(/expressions lie in one another more than 100 deep/);
  });

  it("is not a long list of alternatives or values", () => {
    const alternatives = Array.from({ length: 600 }, (_, index) => `subject = 'veh-${index}'`);
    expect(() => parseCesql(alternatives.join(" OR "))).not.toThrow();
    expect(() => parseCesql(`1 IN (${"1,".repeat(7_000)} 1)`)).not.toThrow();
  });

  it("is refused in one way, whatever garbage it is", () => {
    const piece = fc.constantFrom(
      ..."( ) , + - * / % = != <> < <= > >= AND OR XOR NOT LIKE IN EXISTS TRUE type x1 ABS LEFT 'a' \"b\" ' \" \\ 5 2147483648 _ . ö 😀 \n".split(
        " ",
      ),
    );
    const pieces = fc.array(piece, { maxLength: 60 }).map((texts) => texts.join(" "));
    const garbage = fc.oneof(pieces, fc.string({ unit: "binary", maxLength: 200 }), fc.string());
    fc.assert(
      fc.property(garbage, (text) => {
        try {
          parseCesql(text);
        } catch (error) {
          expect(error).toBeInstanceOf(CesqlSyntaxError);
          expect((error as CesqlSyntaxError).at).toBeLessThanOrEqual(text.length);
        }
      }),
      { numRuns: 3_000 },
    );
  });
});
