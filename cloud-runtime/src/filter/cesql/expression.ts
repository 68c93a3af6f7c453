import type { Value } from "./value.ts";

/** Where an expression lies in the text (from 0, `end` is behind it), and how many lie in one another, itself counted. */
export interface Placed {
  readonly at: number;
  readonly end: number;
  readonly height: number;
}

export type LogicOperator = "AND" | "OR" | "XOR";
export type ComparisonOperator = "=" | "!=" | "<>" | "<" | "<=" | ">" | ">=";
export type ArithmeticOperator = "*" | "/" | "%" | "+" | "-";

export interface Literal extends Placed {
  readonly kind: "literal";
  readonly value: Value;
}

export interface Attribute extends Placed {
  readonly kind: "attribute" | "exists";
  readonly name: string;
}

export interface Call extends Placed {
  readonly kind: "call";
  /** In capitals: names of functions know no case. */
  readonly name: string;
  readonly operands: readonly Expression[];
}

export interface Unary extends Placed {
  readonly kind: "not" | "negate";
  readonly operand: Expression;
}

/** A row of operands between the same operator, from left to right. */
export interface Logic extends Placed {
  readonly kind: "logic";
  readonly operator: LogicOperator;
  readonly operands: readonly Expression[];
}

export interface Comparison extends Placed {
  readonly kind: "comparison";
  readonly operator: ComparisonOperator;
  readonly left: Expression;
  readonly right: Expression;
}

export interface Arithmetic extends Placed {
  readonly kind: "arithmetic";
  readonly operator: ArithmeticOperator;
  readonly left: Expression;
  readonly right: Expression;
}

export interface Like extends Placed {
  readonly kind: "like";
  readonly operand: Expression;
  readonly pattern: string;
  readonly isNegated: boolean;
}

export interface Membership extends Placed {
  readonly kind: "in";
  readonly operand: Expression;
  readonly elements: readonly Expression[];
  readonly isNegated: boolean;
}

export type Expression =
  Literal | Attribute | Call | Unary | Logic | Comparison | Arithmetic | Like | Membership;

/** The expressions right inside one. */
export function partsOf(expression: Expression): readonly Expression[] {
  switch (expression.kind) {
    case "literal":
    case "attribute":
    case "exists":
      return [];
    case "call":
    case "logic":
      return expression.operands;
    case "not":
    case "negate":
    case "like":
      return [expression.operand];
    case "comparison":
    case "arithmetic":
      return [expression.left, expression.right];
    case "in":
      return [expression.operand, ...expression.elements];
  }
}
