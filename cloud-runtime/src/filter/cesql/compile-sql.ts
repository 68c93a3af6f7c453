import { MeshError, type MeshEvent } from "@fleetmesh/core";
import type { Dialect, Filter } from "../filter.ts";
import { FilterFault } from "../filter-fault.ts";
import { invalidFilter } from "../invalid-filter.ts";
import { CesqlExpression } from "./cesql-expression.ts";
import { complaintOf } from "./check-expression.ts";
import { conditionsOf } from "./conditions-of.ts";
import { mismatchOf } from "./mismatch-of.ts";
import { parseCesql } from "./parse-cesql.ts";
import { placeOf, placeText } from "./place.ts";
import { CesqlSyntaxError } from "./syntax-error.ts";
import { Fault } from "./value.ts";

/**
 * The dialect `sql`: an event matches when the expression gives true without an error. Refuses what is no CESQL, and what can
 * never give true or false, with the place in the text.
 */
export const compileSql: Dialect = (operand, path) => {
  if (typeof operand !== "string" || operand.trim() === "")
    throw invalidFilter(path, `must be a CESQL expression, e.g. "type = 'x' AND EXISTS subject"`);
  const compiled = compile(operand, path);
  const { expression } = compiled;
  const judge = new Judge(operand, compiled);
  const filter: Filter = {
    matches: (event) => judge.isTrue(event),
    mismatch: (event) => (judge.isTrue(event) ? undefined : mismatchOf(operand, expression, event)),
    ...conditionsOf(expression),
  };
  return filter;
};

function compile(text: string, path: string): CesqlExpression {
  const refuse = (what: string, at: number): MeshError =>
    new MeshError("SUBSCRIPTION_INVALID", `${path}, ${placeText(text, at)}: ${what}`, {
      details: { path, ...placeOf(text, at) },
    });
  try {
    const expression = parseCesql(text);
    const complaint = complaintOf(expression);
    if (complaint) throw refuse(complaint.what, complaint.at);
    const compiled = new CesqlExpression(text, expression);
    const { type } = compiled;
    if (type === "text" || type === "integer")
      throw refuse(`the expression gives ${noun[type]}, and a filter must give TRUE or FALSE`, 0);
    return compiled;
  } catch (error) {
    throw error instanceof CesqlSyntaxError ? refuse(error.message, error.at) : error;
  }
}

const noun = { text: "a text", integer: "an integer" };

/** Turns the outcome into what the mesh has for a filter: true, false, or a fault that is thrown. */
class Judge {
  readonly #text: string;
  readonly #compiled: CesqlExpression;
  /** One for all throws: it is read at once, and making one costs more than evaluating the expression. */
  readonly #fault = new FilterFault();

  constructor(text: string, compiled: CesqlExpression) {
    this.#text = text;
    this.#compiled = compiled;
  }

  isTrue(event: MeshEvent): boolean {
    const outcome = this.#compiled.evaluate(event);
    if (typeof outcome === "boolean") return outcome;
    this.#fault.message =
      outcome instanceof Fault
        ? `${placeText(this.#text, outcome.at)}: ${outcome.what}`
        : `the expression gives ${typeof outcome === "string" ? noun.text : noun.integer}, not TRUE or FALSE`;
    throw this.#fault;
  }
}
