import type { Extension } from "@fleetmesh/core";
import { describe, expect, it } from "vitest";
import { CesqlExpression } from "../src/filter/cesql/cesql-expression.ts";
import { Fault, type Value } from "../src/filter/cesql/value.ts";
import { sampleEvent } from "./subscription-samples.ts";

const extensions: readonly Extension[] = [
  ["sequence", "00042"],
  ["speed", 120],
  ["urgent", true],
  ["word", "TRUE"],
  ["vin", "veh-0815"],
];
const event = sampleEvent({ id: "e-1", type: "door.opened", subject: "Door.Row1", extensions });

type Outcome = readonly [value: Value, error?: string];

function outcomeOf(text: string): Outcome {
  const outcome = new CesqlExpression(text).evaluate(event);
  return outcome instanceof Fault ? [outcome.value, outcome.kind] : [outcome];
}

describe("an expression of CESQL", () => {
  it.each<[string, Outcome]>([
    ["2 + 3 * 4 - 5", [9]],
    ["2 - 3 - 4", [-5]],
    ["20 / 3 * 3 % 4", [2]],
    ["1 + 1 = 2 AND 3 > 2", [true]],
    ["1 < 2 = TRUE", [true]],
    ["2 * speed LIKE '120'", [2]],
    ["TRUE OR TRUE AND FALSE", [false]],
    ["TRUE OR (TRUE AND FALSE)", [true]],
    ["TRUE XOR TRUE XOR TRUE", [true]],
    ["FALSE AND FALSE XOR TRUE", [true]],
    ["NOT FALSE AND FALSE", [false]],
    ["NOT NOT TRUE", [true]],
    ["NOT (type = 'door.opened')", [false]],
    ["NOT urgent LIKE 'false'", [true]],
    ["NOT EXISTS color", [true]],
    ["-speed + 1", [-119]],
    ["4-1", [3]],
    ["4 -1", [3]],
    ["+7 - -7", [14]],
    ["- 7", [-7]],
    ["not false and exists SUBJECT", [true]],
    ["id IN ('e-1') LIKE 'true'", [true]],
  ])("binds operators as the specification orders them: %s", (text, wanted) => {
    expect(outcomeOf(text)).toEqual(wanted);
  });

  it.each<[string, Outcome]>([
    ["7 / 2", [3]],
    ["-7 / 2", [-3]],
    ["-7 % 3", [-1]],
    ["7 % -3", [1]],
    ["0 / -5", [0]],
    ["STRING(0 * -1)", ["0"]],
    ["STRING(-0)", ["0"]],
    ["1 % 0", [0, "math"]],
    ["2147483647 + 1", [0, "math"]],
    ["-2147483648 - 1", [0, "math"]],
    ["65536 * 65536", [0, "math"]],
    ["2147483647 * 2147483647", [0, "math"]],
    ["-2147483648 / -1", [0, "math"]],
    ["--2147483648", [0, "math"]],
    ["-2147483648 % -1", [0]],
    ["46340 * 46340", [2_147_395_600]],
    ["ABS(-2147483647)", [2_147_483_647]],
  ])("calculates with integers of 32 bits: %s", (text, wanted) => {
    expect(outcomeOf(text)).toEqual(wanted);
    if (wanted[0] === 0) expect(Object.is(outcomeOf(text)[0], -0)).toBe(false);
  });

  it.each<[string, Outcome]>([
    ["sequence = 42", [true]],
    ["sequence = '42'", [false]],
    ["42 = sequence", [false]],
    ["speed = '120'", [true]],
    ["'0120' = speed", [true]],
    ["urgent = 'true'", [true]],
    ["urgent = 'TRUE'", [false]],
    ["word = TRUE", [true]],
    ["'yes' = urgent", [false, "cast"]],
    ["type = 5", [false, "cast"]],
    ["'' = 0", [false, "cast"]],
    ["' 1' = 1", [false, "cast"]],
    ["'1.0' = 1", [false, "cast"]],
    ["'+1' = 1", [true]],
    ["'2147483648' = 1", [false, "cast"]],
    ["INT('-2147483648')", [-2_147_483_648]],
    ["INT('-2147483649')", [0, "cast"]],
    ["INT('00000000000000007')", [7]],
    ["INT('-')", [0, "cast"]],
    ["BOOL('tRUE')", [true]],
    ["BOOL('1')", [false, "cast"]],
    ["BOOL(-1)", [true]],
    ["IS_INT(sequence) AND NOT IS_INT(type) AND IS_INT(TRUE)", [true]],
    ["IS_BOOL(word) AND NOT IS_BOOL(type)", [true]],
    ["speed != 120", [false]],
    ["speed <> '120'", [false]],
    ["type < 'z'", [false, "cast"]],
    ["time > 5", [false, "missingAttribute"]],
    ["type = subject", [false]],
    ["type = type", [true]],
  ])("casts as the specification says: %s", (text, wanted) => {
    expect(outcomeOf(text)).toEqual(wanted);
  });

  it.each<[string, Outcome]>([
    ["color", [false, "missingAttribute"]],
    ["color = 'red'", [false, "missingAttribute"]],
    ["color != 'red'", [false, "missingAttribute"]],
    ["color + 1", [0, "missingAttribute"]],
    ["1 + color", [0, "missingAttribute"]],
    ["LENGTH(color)", [0, "missingAttribute"]],
    ["UPPER(color)", ["", "missingAttribute"]],
    ["STRING(color)", ["", "missingAttribute"]],
    ["color LIKE '%'", [false, "missingAttribute"]],
    ["color NOT LIKE '%'", [false, "missingAttribute"]],
    ["color IN ('red')", [false, "missingAttribute"]],
    ["type IN ('door.opened', color)", [false, "missingAttribute"]],
    ["type NOT IN (color)", [false, "missingAttribute"]],
    ["1 IN (1, 'x')", [false, "cast"]],
    ["speed IN ('x', 120)", [false, "cast"]],
    ["speed IN (color, 120)", [false, "missingAttribute"]],
    ["speed IN (type, 120)", [false, "cast"]],
    ["EXISTS color", [false]],
    ["EXISTS color AND color = 'red'", [false]],
    ["FALSE AND color", [false]],
    ["TRUE OR color", [true]],
    ["color OR TRUE", [false, "missingAttribute"]],
    ["TRUE XOR color", [false, "missingAttribute"]],
    ["color / 0", [0, "missingAttribute"]],
    ["1 / 0 + color", [0, "math"]],
    ["TRUE AND 1 / 0 = 0", [false, "math"]],
    ["NOT (1 / 0 = 1)", [false, "math"]],
    ["LENGTH(LEFT('abc', -1))", [0, "functionEvaluation"]],
    ["FOO(1)", [false, "missingFunction"]],
    ["LENGTH('a', 'b')", [false, "missingFunction"]],
    ["TRUE OR FOO(1)", [true]],
  ])("returns an error with the value of what surrounds it: %s", (text, wanted) => {
    expect(outcomeOf(text)).toEqual(wanted);
  });

  it.each<[string, Outcome]>([
    ["LENGTH('a😀b')", [3]],
    ["LEFT('😀😁😂', 2)", ["😀😁"]],
    ["RIGHT('a😁😂', 2)", ["😁😂"]],
    ["RIGHT('abc', 0)", [""]],
    ["SUBSTRING('a😀bc', 2, 2)", ["😀b"]],
    ["SUBSTRING('abc', -1)", ["c"]],
    ["SUBSTRING('abc', 3, 100)", ["c"]],
    ["SUBSTRING('abc', 2, 0)", [""]],
    ["SUBSTRING('abc', 2, -1)", ["", "functionEvaluation"]],
    ["SUBSTRING('abc', 4)", ["", "functionEvaluation"]],
    ["SUBSTRING('', 1)", ["", "functionEvaluation"]],
    ["SUBSTRING('abc', -2147483648)", ["", "functionEvaluation"]],
    ["SUBSTRING('abc', 2, 2147483647)", ["bc"]],
    ["CONCAT(speed, '-', urgent)", ["120-true"]],
    ["CONCAT_WS(speed, 'a', 'b')", ["a120b"]],
    ["concat_ws('', 'a', 'b')", ["ab"]],
    ["TRIM('\u0085\u3000 a \u00a0\t')", ["a"]],
    ["TRIM('\ufeffa\u200b')", ["\ufeffa\u200b"]],
    ["UPPER('straße')", ["STRASSE"]],
    ["LOWER('ÄÖ')", ["äö"]],
    ["Left (type, 4)", ["door"]],
    ["left", [false, "missingAttribute"]],
  ])("has the functions of the specification: %s", (text, wanted) => {
    expect(outcomeOf(text)).toEqual(wanted);
  });

  it.each<[string, Value]>([
    [`'it\\'s'`, "it's"],
    [`'it''s'`, "it's"],
    [`"say \\"a\\""`, 'say "a"'],
    [`"a""b"`, 'a"b'],
    [`'a\\"b'`, 'a\\"b'],
    [`'a\\\\'`, "a\\\\"],
    [`'a\\nb'`, "a\\nb"],
    [`''`, ""],
    [`' -- not a comment '`, " -- not a comment "],
    [`"line\nbreak"`, "line\nbreak"],
    ["007", 7],
    ["-2147483648", -2_147_483_648],
  ])("reads the literal %s", (text, wanted) => {
    expect(outcomeOf(text)).toEqual([wanted]);
  });

  it("takes a word of digits and letters for an attribute", () => {
    const numbered = sampleEvent({ id: "1", extensions: [["1abc", "x"]] });
    expect(new CesqlExpression("1abc = 'x'").evaluate(numbered)).toBe(true);
  });

  it("says where and what an error was", () => {
    const outcome = new CesqlExpression("TRUE AND INT(vin) > 5").evaluate(event);
    expect(outcome).toMatchObject({
      kind: "cast",
      at: 13,
      what: '"veh-0815" is not a 32-bit integer',
    });
  });

  it("gives the same outcome again, whatever was evaluated in between", () => {
    const expression = new CesqlExpression("LENGTH(subject) = 9 AND subject LIKE '%Row_'");
    const long = sampleEvent({ id: "1", subject: "x".repeat(600_000) });
    for (let round = 0; round < 3; round += 1) {
      expect(expression.evaluate(event)).toBe(true);
      expect(expression.evaluate(long)).toMatchObject({ kind: "generic" });
    }
  });
});

describe("the cost of an expression", () => {
  const long = sampleEvent({ id: "1", subject: "a".repeat(250_000) });

  it("is bounded where long attributes meet many operations", () => {
    const many = Array.from({ length: 500 }, () => "LENGTH(subject) > 5").join(" AND ");
    expect(new CesqlExpression(many).evaluate(long)).toMatchObject({
      value: false,
      kind: "generic",
    });
    expect(new CesqlExpression("LENGTH(subject)").evaluate(long)).toBe(250_000);
  });

  it("is bounded where texts are put together over and over", () => {
    const text = sampleEvent({ id: "1", subject: "a".repeat(150_000) });
    const outcome = new CesqlExpression("CONCAT(subject, subject)").evaluate(text);
    expect(outcome).toMatchObject({ value: "", kind: "functionEvaluation" });
  });
});
