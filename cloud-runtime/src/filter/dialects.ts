import { attributeClaim } from "./attribute-claim.ts";
import { compileSql } from "./cesql/compile-sql.ts";
import { allOf, anyOf } from "./combine.ts";
import type { CompileNested, Dialect, Filter } from "./filter.ts";
import { invalidFilter } from "./invalid-filter.ts";
import { compilePattern } from "./pattern/compile-pattern.ts";
import { shown } from "./shown.ts";

/** CloudEvents Subscriptions API 1.0, 3.2.4: the first six are the required dialects. More are added to this table. */
export const dialects: Readonly<Record<string, Dialect>> = {
  exact: eachAttribute((attribute, value) =>
    attributeClaim({
      attribute,
      holds: (text) => text === value,
      wanted: shown(value) ?? "",
      exact: [value],
    }),
  ),
  prefix: eachAttribute((attribute, value) =>
    attributeClaim({
      attribute,
      holds: (text) => text?.startsWith(value) === true,
      wanted: `begins with ${shown(value) ?? ""}`,
      prefix: [value],
    }),
  ),
  suffix: eachAttribute((attribute, value) =>
    attributeClaim({
      attribute,
      holds: (text) => text?.endsWith(value) === true,
      wanted: `ends with ${shown(value) ?? ""}`,
    }),
  ),
  all: (operand, path, nested) => allOf(nestedList(operand, path, nested)),
  any: (operand, path, nested) => anyOf(nestedList(operand, path, nested)),
  not: (operand, path, nested) => {
    const filter = nested(operand, path);
    return {
      matches: (event, json) => !filter.matches(event, json),
      mismatch: (event, json) =>
        filter.matches(event, json)
          ? { reason: `what must not hold does: ${shown(operand) ?? ""}` }
          : undefined,
    };
  },
  pattern: compilePattern,
  sql: compileSql,
};

/** Attributes are compared as their canonical text; a missing one fails the claim. */
function eachAttribute(claim: (attribute: string, value: string) => Filter): Dialect {
  return (operand, path) =>
    allOf(attributePairs(operand, path).map(([attribute, value]) => claim(attribute, value)));
}

function attributePairs(operand: unknown, path: string): (readonly [string, string])[] {
  if (typeof operand !== "object" || operand === null || Array.isArray(operand))
    throw invalidFilter(path, "must be an object of attribute names and texts");
  const pairs = Object.entries(operand);
  if (pairs.length === 0) throw invalidFilter(path, "must name at least one attribute");
  return pairs.map(([name, value]: [string, unknown]) => {
    if (!/^[a-z0-9]+$/.test(name))
      throw invalidFilter(
        `${path}.${name}`,
        "is not an attribute name (lower-case letters, digits)",
      );
    if (typeof value !== "string" || value === "")
      throw invalidFilter(`${path}.${name}`, "must be a text that is not empty");
    return [name, value] as const;
  });
}

function nestedList(operand: unknown, path: string, nested: CompileNested): Filter[] {
  if (!Array.isArray(operand) || operand.length === 0)
    throw invalidFilter(path, "must be a list of at least one filter");
  return operand.map((spec, index) => nested(spec, `${path}[${index}]`));
}
