import { asBoolean, asInteger, asText, castFault } from "./coerce.ts";
import { toTypeOf } from "./cast.ts";
import type { Fault, Code, Run, Value } from "./value.ts";

interface Sides {
  readonly left: Code;
  readonly right: Code;
  /** Where a failed cast of the left side is shown. */
  readonly at: number;
  /** The value of the right side where it is written down. */
  readonly constant: Value | undefined;
}

/** `=`: the left operand is cast to the type of the right one (CESQL 3.7). */
export function compileEquality(sides: Sides): Run<boolean> {
  const { left, right, at, constant } = sides;
  if (right.type === "any") return sameAsLastRead(left.run, right.run, at);
  if (right.type === "text") return same(asText(left), right.run, constant);
  if (right.type === "integer") return same(asInteger(left, at), right.run, constant);
  return same(asBoolean(left, at), right.run, constant);
}

function same<Side extends Value>(
  left: Run<Side>,
  right: Run<Side>,
  constant: Value | undefined,
): Run<boolean> {
  if (constant !== undefined)
    return (event) => {
      const value = left(event);
      return typeof value === "object" ? value.as(false) : value === constant;
    };
  return (event) => {
    const value = left(event);
    if (typeof value === "object") return value.as(false);
    const other = right(event);
    return typeof other === "object" ? other.as(false) : value === other;
  };
}

/** The right side is an extension attribute: its type is known when it has been read. */
function sameAsLastRead(left: Run, right: Run, at: number): Run<boolean> {
  return (event) => {
    const value = left(event);
    if (typeof value === "object") return value.as(false);
    const other = right(event);
    if (typeof other === "object") return other.as(false);
    const cast = toTypeOf(other, value);
    return cast === undefined ? failedCast(value, other, at) : cast === other;
  };
}

/** The value cannot be cast to the type of the other one. */
export function failedCast(value: Value, other: Value, at: number): Fault {
  return castFault(value, typeof other === "number" ? "integer" : "boolean", at).as(false);
}
