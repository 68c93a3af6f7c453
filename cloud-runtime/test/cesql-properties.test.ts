import fc from "fast-check";
import { attributeOf, type AttributeValue, type MeshEvent } from "@fleetmesh/core";
import { describe, expect, it } from "vitest";
import { CesqlExpression } from "../src/filter/cesql/cesql-expression.ts";
import { conditionsOf } from "../src/filter/cesql/conditions-of.ts";
import { parseCesql } from "../src/filter/cesql/parse-cesql.ts";
import { Fault, type Value } from "../src/filter/cesql/value.ts";
import { sampleEvent } from "./subscription-samples.ts";

const attributeName = fc.constantFrom("type", "subject", "id", "level", "flag", "note", "data1");
const word = fc.constantFrom("a", "ab", "b", "5", "05", "-1", "true", "TRUE", "", "😀");
const integer = fc.constantFrom("0", "1", "5", "-1", "2147483647", "-2147483648");
const literal = fc.oneof(
  word.map((text) => `'${text}'`),
  integer,
  fc.constantFrom("TRUE", "FALSE"),
);
const pattern = fc.constantFrom("'a%'", "'%b'", "'ab'", "'_'", "'%'", "''", "'5_'", "'a\\%'");
const negation = fc.constantFrom("", "NOT ");
const call = fc.constantFrom("INT", "BOOL", "STRING", "IS_INT", "ABS", "LENGTH", "UPPER", "NONE");

const { expression } = fc.letrec<{ expression: string; operand: string }>((tie) => {
  const operand = tie("operand");
  const infix = fc.constantFrom("=", "!=", "<", ">=", "+", "-", "*", "/", "%", "AND", "OR", "XOR");
  return {
    operand: fc.oneof(
      { maxDepth: 5, depthSize: "medium" },
      attributeName,
      literal,
      tie("expression").map((inside) => `(${inside})`),
      fc.tuple(call, tie("expression")).map(([name, inside]) => `${name}(${inside})`),
      fc.tuple(operand, operand).map(([text, count]) => `SUBSTRING(${text}, ${count})`),
      attributeName.map((name) => `EXISTS ${name}`),
      fc.tuple(fc.constantFrom("NOT ", "- "), operand).map((parts) => parts.join("")),
    ),
    expression: fc.oneof(
      { maxDepth: 5, depthSize: "medium" },
      operand,
      fc.tuple(attributeName, fc.constant("="), literal).map((parts) => parts.join(" ")),
      fc.tuple(literal, fc.constant("="), attributeName).map((parts) => parts.join(" ")),
      fc.tuple(operand, infix, operand).map((parts) => parts.join(" ")),
      fc.tuple(tie("expression"), infix, tie("expression")).map((parts) => parts.join(" ")),
      fc.tuple(operand, negation, pattern).map(([text, not, like]) => `${text} ${not}LIKE ${like}`),
      fc
        .tuple(attributeName, negation, fc.array(literal, { minLength: 1, maxLength: 4 }))
        .map(([text, not, set]) => `${text} ${not}IN (${set.join(", ")})`),
      fc
        .tuple(operand, fc.array(operand, { minLength: 1, maxLength: 3 }))
        .map(([text, set]) => `${text} IN (${set.join(", ")})`),
    ),
  };
});

const extension = fc.oneof<fc.Arbitrary<AttributeValue>[]>(
  word,
  fc.constantFrom(0, 1, 5, -1, 2_147_483_647),
  fc.boolean(),
);
const anEvent = fc
  .record({
    id: word,
    type: word,
    subject: fc.option(word, { nil: undefined }),
    extensions: fc.uniqueArray(
      fc.tuple(fc.constantFrom("level", "flag", "note", "data1"), extension),
      { selector: ([name]) => name },
    ),
  })
  .map(({ subject, ...rest }) =>
    sampleEvent({ ...rest, ...(subject !== undefined && { subject }) }),
  );

function outcomeOf(text: string, event: MeshEvent): { value: Value; kind?: string } {
  const outcome = new CesqlExpression(text).evaluate(event);
  return outcome instanceof Fault
    ? { value: outcome.value, kind: outcome.kind }
    : { value: outcome };
}

function holdsIndexed(text: string, event: MeshEvent): boolean {
  const { exact = [], prefix = [] } = conditionsOf(parseCesql(text));
  const textOf = (name: string): string | undefined => {
    const value = attributeOf(event, name);
    return value === undefined ? undefined : String(value);
  };
  return (
    exact.every(({ attribute, values }) => values.some((value) => value === textOf(attribute))) &&
    prefix.every(({ attribute, prefixes }) =>
      prefixes.some((begin) => textOf(attribute)?.startsWith(begin) === true),
    )
  );
}

const runs = { numRuns: 2_000 };

describe("any expression, over any event", () => {
  it("gives a value of CESQL, or one with an error, and never throws", () => {
    fc.assert(
      fc.property(expression, anEvent, (text, event) => {
        const { value } = outcomeOf(text, event);
        if (typeof value !== "number") expect(["string", "boolean"]).toContain(typeof value);
        else expect(Object.is(value, value | 0)).toBe(true);
        expect(outcomeOf(text, event)).toEqual(outcomeOf(text, event));
      }),
      runs,
    );
  });

  it("that is negated gives the other truth value, or the same error", () => {
    fc.assert(
      fc.property(expression, anEvent, (text, event) => {
        const { value, kind } = outcomeOf(`BOOL(${text})`, event);
        const negated = outcomeOf(`NOT (${text})`, event);
        if (kind === undefined) expect(negated).toEqual({ value: value !== true });
        else expect(negated).toEqual({ value: false, kind });
      }),
      runs,
    );
  });

  it("that is true for an event is found by the index", () => {
    let foundCount = 0;
    fc.assert(
      fc.property(expression, anEvent, (text, event) => {
        const { value, kind } = outcomeOf(text, event);
        if (value !== true || kind !== undefined) return;
        foundCount += 1;
        expect(holdsIndexed(text, event)).toBe(true);
      }),
      { numRuns: 6_000 },
    );
    expect(foundCount).toBeGreaterThan(100);
  });
});
