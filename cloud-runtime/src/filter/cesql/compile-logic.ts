import type { LogicOperator } from "./expression.ts";
import type { Run } from "./value.ts";

/** From left to right; AND ends at the first false, OR at the first true, all at the first error (CESQL 3.4.2). */
export function compileLogic(
  operator: LogicOperator,
  operands: readonly Run<boolean>[],
): Run<boolean> {
  if (operator === "XOR") return oddNumber(operands);
  const isAnd = operator === "AND";
  return (event) => {
    for (let index = 0; index < operands.length; index += 1) {
      const value = operands[index]?.(event);
      if (value !== isAnd) return typeof value === "object" ? value.as(false) : !isAnd;
    }
    return isAnd;
  };
}

function oddNumber(operands: readonly Run<boolean>[]): Run<boolean> {
  return (event) => {
    let isOdd = false;
    for (const operand of operands) {
      const value = operand(event);
      if (typeof value === "object") return value.as(false);
      if (value) isOdd = !isOdd;
    }
    return isOdd;
  };
}

export function compileNot(operand: Run<boolean>): Run<boolean> {
  return (event) => {
    const value = operand(event);
    return typeof value === "object" ? value.as(false) : !value;
  };
}
