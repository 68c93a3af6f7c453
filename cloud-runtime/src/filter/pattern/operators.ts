import { nearestName } from "@fleetmesh/core";
import type { Scalar } from "../filter.ts";
import { invalidFilter } from "../invalid-filter.ts";
import { shown } from "../shown.ts";
import { compileCidr } from "./cidr.ts";
import { compileNumericRange } from "./numeric-range.ts";
import { isPlainObject, type PatternPlace } from "./pattern-place.ts";
import { compileWildcard } from "./wildcard.ts";

/** What one operator object asks of one value that is there. */
export interface ValueTest {
  readonly holds: (value: Scalar) => boolean;
  /** A text for which it holds begins with one of these; undefined when nothing of the kind is known. */
  readonly heads?: readonly string[] | undefined;
  /** How many comparisons it may take. */
  readonly weight: number;
}

type Operator = (operand: unknown, place: PatternPlace) => ValueTest;

/** What compares a value with something; `exists` and `anything-but` are built on these. */
const comparing: Readonly<Record<string, Operator>> = {
  prefix: affix("startsWith"),
  suffix: affix("endsWith"),
  "equals-ignore-case": (operand, place) => {
    const wanted = new Set(textsOf(operand, place).map((text) => text.toLowerCase()));
    return onText(1, (text) => wanted.has(text.toLowerCase()));
  },
  wildcard: (operand, place) => {
    const wildcards = textsOf(operand, place).map((text) => compileWildcard(text, place.path));
    const heads = wildcards.map(({ head }) => head);
    return {
      ...onText(wildcards.length, (text) => wildcards.some(({ matches }) => matches(text))),
      heads: heads.includes("") ? undefined : heads,
    };
  },
  cidr: (operand, place) => {
    const blocks = textsOf(operand, place).map((text) => compileCidr(text, place.path));
    return onText(blocks.length, (text) => blocks.some((contains) => contains(text)));
  },
  numeric: (operand, place) => {
    const isWithin = compileNumericRange(operand, place.path);
    if (!place.isAttribute)
      return { holds: (value) => typeof value === "number" && isWithin(value), weight: 1 };
    return onText(1, (text) => numberGrammar.test(text) && isWithin(Number(text)));
  },
};

const numberGrammar = /^-?(?:0|[1-9]\d{0,30})(?:\.\d{1,30})?(?:[eE][+-]?\d{1,3})?$/;

const operatorNames = [...Object.keys(comparing), "anything-but", "exists"];

/** Compiles `{operator: operand}`, any but `exists`. Throws SUBSCRIPTION_INVALID with the nearest operator's name. */
export function compileOperator(name: string, operand: unknown, place: PatternPlace): ValueTest {
  place.countCondition();
  const inside = place.under(`.${name.slice(0, 40)}`);
  if (name === "anything-but") return anythingBut(operand, inside);
  const operator = Object.hasOwn(comparing, name) ? comparing[name] : undefined;
  if (!operator) throw unknownOperator(name, place);
  return operator(operand, inside);
}

/** A value that may stand in a list by itself; an attribute's is compared as text. */
export function scalarOf(value: unknown, place: PatternPlace): Scalar {
  if (typeof value === "string") return value === "" && !place.isAttribute ? "" : place.text(value);
  if (place.isAttribute && value === null)
    throw invalidFilter(place.path, 'is null, which no attribute is; use {"exists": false}');
  if (typeof value === "boolean" || value === null)
    return place.isAttribute ? String(value) : value;
  if (typeof value === "number" && Number.isFinite(value))
    return place.isAttribute ? String(value) : value;
  throw invalidFilter(place.path, `must be a text, a number, true, false or null`);
}

/** The only entry of an operator object. */
export function operatorEntry(
  spec: unknown,
  place: PatternPlace,
): [name: string, operand: unknown] {
  const entries = isPlainObject(spec) ? Object.entries(spec) : [];
  const [entry] = entries;
  if (!entry || entries.length !== 1)
    throw invalidFilter(place.path, "must have exactly one operator as its key");
  return entry;
}

function anythingBut(operand: unknown, place: PatternPlace): ValueTest {
  if (isPlainObject(operand)) {
    const [name, inner] = operatorEntry(operand, place);
    if (!Object.hasOwn(comparing, name)) throw unknownOperator(name, place, Object.keys(comparing));
    const test = compileOperator(name, inner, place);
    return { holds: (value) => !test.holds(value), weight: test.weight };
  }
  const listed: readonly unknown[] = Array.isArray(operand) ? operand : [operand];
  if (listed.length === 0) throw invalidFilter(place.path, "must have at least one value");
  const refused = new Set(
    listed.map((value, index) => {
      place.countCondition();
      return scalarOf(value, Array.isArray(operand) ? place.under(`[${index}]`) : place);
    }),
  );
  return { holds: (value) => !refused.has(value), weight: 1 };
}

function affix(method: "startsWith" | "endsWith"): Operator {
  return (operand, place) => {
    if (isPlainObject(operand)) {
      const [name, inner] = operatorEntry(operand, place);
      if (name !== "equals-ignore-case") throw unknownOperator(name, place, ["equals-ignore-case"]);
      const affixes = textsOf(inner, place.under(`.${name}`)).map((text) => text.toLowerCase());
      return onText(affixes.length, (text) => {
        const lower = text.toLowerCase();
        return affixes.some((one) => lower[method](one));
      });
    }
    const affixes = textsOf(operand, place);
    const test = onText(affixes.length, (text) => affixes.some((one) => text[method](one)));
    return method === "startsWith" ? { ...test, heads: affixes } : test;
  };
}

function textsOf(operand: unknown, place: PatternPlace): string[] {
  if (!Array.isArray(operand)) return [place.text(operand)];
  if (operand.length === 0) throw invalidFilter(place.path, "must have at least one text");
  return operand.map((text, index) => {
    place.countCondition();
    return place.under(`[${index}]`).text(text);
  });
}

function onText(weight: number, holds: (text: string) => boolean): ValueTest {
  return { holds: (value) => typeof value === "string" && holds(value), weight };
}

function unknownOperator(
  name: string,
  place: PatternPlace,
  known: readonly string[] = operatorNames,
): Error {
  const near = nearestName(name, known);
  const suffix = near === undefined ? "" : ` - did you mean "${near}"?`;
  const given = shown(name.slice(0, 40)) ?? "";
  return invalidFilter(
    place.path,
    `has an unknown operator ${given}${suffix} Known: ${known.join(", ")}`,
  );
}
