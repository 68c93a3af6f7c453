import { isInteger32 } from "./cast.ts";
import type { ArithmeticOperator, ComparisonOperator } from "./expression.ts";
import { Fault, type Run } from "./value.ts";

type Calculation = (left: number, right: number) => number;

/** Products of two 32-bit integers may exceed 2^53, but then they are far outside 32 bits, rounded or not. */
const calculations: Readonly<Record<ArithmeticOperator, Calculation>> = {
  "+": (left, right) => left + right,
  "-": (left, right) => left - right,
  "*": (left, right) => left * right,
  "/": (left, right) => Math.trunc(left / right),
  "%": (left, right) => left % right,
};

interface Operands {
  readonly left: Run<number>;
  readonly right: Run<number>;
}

/** Integers of 32 bits; what does not fit is a MathError, as division by zero is, and 0. */
export function compileArithmetic(
  operator: ArithmeticOperator,
  { left, right }: Operands,
  at: number,
): Run<number> {
  const calculate = calculations[operator];
  const isDivision = operator === "/" || operator === "%";
  return (event) => {
    const first = left(event);
    if (typeof first === "object") return first.as(0);
    const second = right(event);
    if (typeof second === "object") return second.as(0);
    if (isDivision && second === 0)
      return new Fault(0, { kind: "math", at, what: `${first} ${operator} 0 is division by zero` });
    const result = calculate(first, second);
    // Adding 0 turns -0, which has a text of its own, into 0.
    if (isInteger32(result)) return result + 0;
    return new Fault(0, { kind: "math", at, what: overflow(`${first} ${operator} ${second}`) });
  };
}

export function compileNegation(operand: Run<number>, at: number): Run<number> {
  return (event) => {
    const value = operand(event);
    if (typeof value === "object") return value.as(0);
    if (isInteger32(-value)) return 0 - value;
    return new Fault(0, { kind: "math", at, what: overflow(`-(${value})`) });
  };
}

type Order = Exclude<ComparisonOperator, "=" | "!=" | "<>">;

const orders: Readonly<Record<Order, (left: number, right: number) => boolean>> = {
  "<": (left, right) => left < right,
  "<=": (left, right) => left <= right,
  ">": (left, right) => left > right,
  ">=": (left, right) => left >= right,
};

/** Only integers have an order (CESQL 3.4.2). */
export function compileOrder(operator: Order, { left, right }: Operands): Run<boolean> {
  const holds = orders[operator];
  return (event) => {
    const first = left(event);
    if (typeof first === "object") return first.as(false);
    const second = right(event);
    return typeof second === "object" ? second.as(false) : holds(first, second);
  };
}

function overflow(calculation: string): string {
  return `${calculation} is no 32-bit integer`;
}
