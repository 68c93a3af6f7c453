import { Fault, type Value } from "./value.ts";

/** The meter is empty. */
export function tooLong(value: Value, at: number): Fault {
  const what = "the event's attributes are too long for so much work on them";
  return new Fault(value, { kind: "generic", at, what });
}
