import type { MeshEvent } from "@fleetmesh/core";

/** CESQL 3.1: String, Integer (32 bits with sign) and Boolean. */
export type Value = string | number | boolean;

/** CESQL 3.3, without the errors of parsing. */
export type FaultKind =
  "math" | "cast" | "missingAttribute" | "missingFunction" | "functionEvaluation" | "generic";

/**
 * An error together with the value that the expression has all the same (CESQL 3.3). It is returned, not thrown: an event
 * that lacks an attribute is an everyday thing.
 */
export class Fault {
  readonly value: Value;
  readonly kind: FaultKind;
  /** The character of the expression's text, from 0, at which the expression begins that met it. */
  readonly at: number;
  readonly what: string;

  constructor(value: Value, { kind, at, what }: Pick<Fault, "kind" | "at" | "what">) {
    this.value = value;
    this.kind = kind;
    this.at = at;
    this.what = what;
  }

  /** The same error where the surrounding expression has another value. */
  as(value: Value): Fault {
    return this.value === value ? this : new Fault(value, this);
  }
}

/** A compiled expression: a value, or an error with the value that goes with it. `typeof` tells them apart. */
export type Run<Result extends Value = Value> = (event: MeshEvent) => Result | Fault;

/** A compiled expression with what is known of its type; of an extension attribute nothing is. */
export type Code =
  | { readonly type: "boolean"; readonly run: Run<boolean> }
  | { readonly type: "integer"; readonly run: Run<number> }
  | { readonly type: "text"; readonly run: Run<string> }
  | { readonly type: "any"; readonly run: Run };
