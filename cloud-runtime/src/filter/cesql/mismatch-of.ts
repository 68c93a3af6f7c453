import { attributeOf, type MeshEvent } from "@fleetmesh/core";
import type { Mismatch } from "../filter.ts";
import { shown } from "../shown.ts";
import { CesqlExpression } from "./cesql-expression.ts";
import { partsOf, type Expression } from "./expression.ts";

const clauseLengthMax = 200;
const shownAttributesMax = 5;

/** Why an expression is false for an event: of conditions joined by AND the first that is not true. For people, not for the path of events. */
export function mismatchOf(text: string, expression: Expression, event: MeshEvent): Mismatch {
  const clause = firstUntrue(text, expression, event);
  const wanted = text.slice(clause.at, clause.end).slice(0, clauseLengthMax);
  const names = [...attributesIn(clause)];
  const [only] = names;
  const found = names.length === 1 && only ? shown(attributeOf(event, only)) : undefined;
  const values = names
    .slice(0, shownAttributesMax)
    .map((name) => `${name} is ${shown(attributeOf(event, name)) ?? "missing"}`);
  const seen = values.length === 0 ? "" : `: ${values.join(", ")}`;
  return {
    field: names.length === 1 ? only : undefined,
    found,
    wanted,
    reason: `${wanted} is not true${seen}`,
  };
}

function firstUntrue(text: string, expression: Expression, event: MeshEvent): Expression {
  if (expression.kind !== "logic" || expression.operator !== "AND") return expression;
  for (const operand of expression.operands)
    if (new CesqlExpression(text, operand).evaluate(event) !== true)
      return firstUntrue(text, operand, event);
  return expression;
}

function attributesIn(expression: Expression, into = new Set<string>()): Set<string> {
  if (expression.kind === "attribute" || expression.kind === "exists") into.add(expression.name);
  for (const part of partsOf(expression)) attributesIn(part, into);
  return into;
}
