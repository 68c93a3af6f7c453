import { toBoolean, toInteger, toText } from "./cast.ts";
import { isTextAttribute } from "./attribute-reader.ts";
import type { Comparison, Expression, Like, Membership } from "./expression.ts";
import { LikePattern } from "./like-pattern.ts";
import type { Value } from "./value.ts";
import { commonExact, commonPrefix } from "../combine.ts";
import type { ExactCondition, Filter, PrefixCondition } from "../filter.ts";

type Conditions = Pick<Filter, "exact" | "prefix">;

/**
 * What must hold of single attributes for the expression to be true, for the index. An event that fails it would give false,
 * or an error, which does not match either; only nobody counts that error then.
 */
export function conditionsOf(expression: Expression): Conditions {
  switch (expression.kind) {
    case "logic":
      return logicConditions(expression.operator, expression.operands);
    case "comparison":
      return { exact: equalityConditions(expression) };
    case "like":
      return likeConditions(expression);
    case "in":
      return { exact: membershipConditions(expression) };
    case "literal":
    case "attribute":
    case "exists":
    case "call":
    case "not":
    case "negate":
    case "arithmetic":
      return {};
  }
}

function logicConditions(operator: string, operands: readonly Expression[]): Conditions {
  if (operator === "XOR") return {};
  const parts = operands.map(conditionsOf);
  if (operator === "OR") return { exact: commonExact(parts), prefix: commonPrefix(parts) };
  return {
    exact: parts.flatMap(({ exact }) => exact ?? []),
    prefix: parts.flatMap(({ prefix }) => prefix ?? []),
  };
}

/**
 * With a text on the right, the attribute is compared as its canonical text. A text on the left is cast to the attribute's
 * type, so that '05' equals the integer 5: there only an attribute that is always text is sure.
 */
function equalityConditions({ operator, left, right }: Comparison): ExactCondition[] {
  if (operator !== "=") return [];
  if (left.kind === "attribute" && right.kind === "literal") {
    const isSure = typeof right.value === "string";
    return isSure ? [{ attribute: left.name, values: [toText(right.value)] }] : [];
  }
  if (left.kind === "literal" && right.kind === "attribute" && isTextAttribute(right.name))
    return [{ attribute: right.name, values: [toText(left.value)] }];
  return [];
}

function likeConditions({ operand, pattern, isNegated }: Like): Conditions {
  if (isNegated || operand.kind !== "attribute") return {};
  const { prefix, isExact } = new LikePattern(pattern);
  const attribute = operand.name;
  if (isExact) return { exact: [{ attribute, values: [prefix] }] };
  const prefixes: PrefixCondition[] = prefix === "" ? [] : [{ attribute, prefixes: [prefix] }];
  return { prefix: prefixes };
}

/** The elements are cast to the attribute's type: sure where that is text, or where each is alike in every type it casts to. */
function membershipConditions({ operand, elements, isNegated }: Membership): ExactCondition[] {
  if (isNegated || operand.kind !== "attribute") return [];
  const values: string[] = [];
  for (const element of elements) {
    if (element.kind !== "literal") return [];
    if (!isTextAttribute(operand.name) && !isAlikeInEveryType(element.value)) return [];
    values.push(toText(element.value));
  }
  return [{ attribute: operand.name, values }];
}

function isAlikeInEveryType(value: Value): boolean {
  const text = toText(value);
  return [toInteger(value), toBoolean(value)].every(
    (cast) => cast === undefined || toText(cast) === text,
  );
}
