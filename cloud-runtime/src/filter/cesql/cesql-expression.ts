import type { MeshEvent } from "@fleetmesh/core";
import { compileExpression } from "./compile-expression.ts";
import type { Expression } from "./expression.ts";
import { Meter } from "./meter.ts";
import { parseCesql } from "./parse-cesql.ts";
import type { Code, Fault, Value } from "./value.ts";

/**
 * About the characters that all operations of one evaluation may look at, counted where texts are long: some milliseconds.
 * A usual filter over a usual event takes less than a hundredth of a thousandth of it.
 */
const stepCountMax = 1_000_000;

/** An expression of CESQL 1.0, ready to be evaluated over and over. Throws CesqlSyntaxError when the text is none. */
export class CesqlExpression {
  readonly expression: Expression;
  readonly #meter = new Meter();
  readonly #code: Code;

  constructor(text: string, expression = parseCesql(text)) {
    this.expression = expression;
    this.#code = compileExpression(expression, this.#meter);
  }

  /** What every evaluation gives, as far as that is known without an event. */
  get type(): Code["type"] {
    return this.#code.type;
  }

  /** Never throws: an error comes with the value that the specification has for it. Ends soon, whatever the event. */
  evaluate(event: MeshEvent): Value | Fault {
    this.#meter.refill(stepCountMax);
    return this.#code.run(event);
  }
}
