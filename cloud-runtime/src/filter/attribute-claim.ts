import { attributeOf } from "@fleetmesh/core";
import type { ExactCondition, Filter, PrefixCondition } from "./filter.ts";
import { shown } from "./shown.ts";

export interface AttributeClaim {
  readonly attribute: string;
  /** Judges the attribute's canonical text; undefined where the event does not have it. */
  readonly holds: (text: string | undefined) => boolean;
  /** How many steps that takes, where it is more than a comparison. */
  readonly stepsFor?: ((text: string) => number) | undefined;
  /** For people. */
  readonly wanted: string;
  /** What the index may rely on. */
  readonly exact?: ExactCondition["values"] | undefined;
  readonly prefix?: PrefixCondition["prefixes"] | undefined;
}

/** A filter that looks at one attribute, as canonical text: 7 and "7" are the same, whichever way the event came. */
export function attributeClaim(claim: AttributeClaim): Filter {
  const { attribute, holds, stepsFor, wanted, exact, prefix } = claim;
  return {
    matches: (event, json) => {
      const value = attributeOf(event, attribute);
      if (value === undefined) return holds(undefined);
      const text = String(value);
      if (stepsFor !== undefined) json?.spend(stepsFor(text));
      return holds(text);
    },
    mismatch: (event) => {
      const value = attributeOf(event, attribute);
      if (holds(value === undefined ? undefined : String(value))) return undefined;
      const found = shown(value);
      const reason = `${attribute} is ${found ?? "missing"}; wanted: ${wanted}`;
      return { field: attribute, found, wanted, reason };
    },
    ...(exact && { exact: [{ attribute, values: exact }] }),
    ...(prefix && { prefix: [{ attribute, prefixes: prefix }] }),
  };
}
