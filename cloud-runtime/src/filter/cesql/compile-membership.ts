import { toTypeOf } from "./cast.ts";
import { failedCast } from "./compile-equality.ts";
import type { Expression } from "./expression.ts";
import { Fault, type Run, type Value } from "./value.ts";

interface Element {
  readonly expression: Expression;
  readonly run: Run;
}

/**
 * `IN`: the elements are cast to the type of the left side (CESQL 3.4.5). A set has no order, so an element with an error
 * makes the whole one, wherever it stands and whatever else is found.
 */
export function compileMembership(left: Run, elements: readonly Element[]): Run<boolean> {
  const constants: ConstantElement[] = [];
  for (const { expression } of elements)
    if (expression.kind === "literal") constants.push(expression);
  if (constants.length === elements.length) return amongConstants(left, constants);
  return (event) => {
    const wanted = left(event);
    if (typeof wanted === "object") return wanted.as(false);
    let isFound = false;
    for (const { expression, run } of elements) {
      const element = run(event);
      if (typeof element === "object") return element.as(false);
      const cast = toTypeOf(wanted, element);
      if (cast === undefined) return failedCast(element, wanted, expression.at);
      if (cast === wanted) isFound = true;
    }
    return isFound;
  };
}

interface ConstantElement {
  readonly value: Value;
  readonly at: number;
}

/** What is written down is cast once, to each type that the left side may have. */
function amongConstants(left: Run, elements: readonly ConstantElement[]): Run<boolean> {
  const texts = castAll(elements, "");
  const integers = castAll(elements, 0);
  const booleans = castAll(elements, false);
  return (event) => {
    const wanted = left(event);
    if (typeof wanted === "object") return wanted.as(false);
    const among =
      typeof wanted === "string" ? texts : typeof wanted === "number" ? integers : booleans;
    return among instanceof Fault ? among : among.has(wanted);
  };
}

function castAll(elements: readonly ConstantElement[], wanted: Value): Set<Value> | Fault {
  const values = new Set<Value>();
  for (const { value, at } of elements) {
    const cast = toTypeOf(wanted, value);
    if (cast === undefined) return failedCast(value, wanted, at);
    values.add(cast);
  }
  return values;
}
