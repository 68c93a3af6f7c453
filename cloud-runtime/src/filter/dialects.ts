import { attributeOf, MeshError, type MeshEvent } from "@fleetmesh/core";
import type { CompileNested, Dialect, ExactCondition, Filter } from "./filter.ts";

type TextClaim = (text: string, operand: string) => boolean;

/** CloudEvents Subscriptions API 1.0, 3.2.4: these are the required dialects. More are added to this table. */
export const dialects: Readonly<Record<string, Dialect>> = {
  exact: (operand, path) => {
    const pairs = attributePairs(operand, path);
    const exact = pairs.map(([attribute, value]) => ({ attribute, values: [value] }));
    return { ...claimOnAll(pairs, (text, wanted) => text === wanted), exact };
  },
  prefix: (operand, path) =>
    claimOnAll(attributePairs(operand, path), (text, wanted) => text.startsWith(wanted)),
  suffix: (operand, path) =>
    claimOnAll(attributePairs(operand, path), (text, wanted) => text.endsWith(wanted)),
  all: (operand, path, nested) => {
    const filters = nestedList(operand, path, nested);
    return {
      matches: (event) => filters.every((filter) => filter.matches(event)),
      exact: filters.flatMap(({ exact }) => exact ?? []),
    };
  },
  any: (operand, path, nested) => {
    const filters = nestedList(operand, path, nested);
    return {
      matches: (event) => filters.some((filter) => filter.matches(event)),
      exact: commonConditions(filters),
    };
  },
  not: (operand, path, nested) => {
    const filter = nested(operand, path);
    return { matches: (event) => !filter.matches(event) };
  },
};

/** Attributes are compared as their canonical text; a missing one fails the claim. */
function claimOnAll(pairs: readonly (readonly [string, string])[], holds: TextClaim): Filter {
  const claim = (event: MeshEvent, [name, wanted]: readonly [string, string]): boolean => {
    const value = attributeOf(event, name);
    return value !== undefined && holds(String(value), wanted);
  };
  const [first, ...others] = pairs;
  if (first && others.length === 0) return { matches: (event) => claim(event, first) };
  return { matches: (event) => pairs.every((pair) => claim(event, pair)) };
}

/** When every alternative pins the same attribute, their values together are a condition of the whole. */
function commonConditions(filters: readonly Filter[]): ExactCondition[] {
  const [first, ...others] = filters;
  return (first?.exact ?? []).flatMap(({ attribute, values }) => {
    const rest = others.map(({ exact }) => exact?.find((one) => one.attribute === attribute));
    if (rest.some((condition) => condition === undefined)) return [];
    return [{ attribute, values: [...values, ...rest.flatMap((one) => one?.values ?? [])] }];
  });
}

function attributePairs(operand: unknown, path: string): (readonly [string, string])[] {
  if (typeof operand !== "object" || operand === null || Array.isArray(operand))
    throw invalidFilter(path, "must be an object of attribute names and texts");
  const pairs = Object.entries(operand);
  if (pairs.length === 0) throw invalidFilter(path, "must name at least one attribute");
  return pairs.map(([name, value]: [string, unknown]) => {
    if (!/^[a-z0-9]+$/.test(name))
      throw invalidFilter(
        `${path}.${name}`,
        "is not an attribute name (lower-case letters, digits)",
      );
    if (typeof value !== "string" || value === "")
      throw invalidFilter(`${path}.${name}`, "must be a text that is not empty");
    return [name, value] as const;
  });
}

function nestedList(operand: unknown, path: string, nested: CompileNested): Filter[] {
  if (!Array.isArray(operand) || operand.length === 0)
    throw invalidFilter(path, "must be a list of at least one filter");
  return operand.map((spec, index) => nested(spec, `${path}[${index}]`));
}

export function invalidFilter(path: string, what: string): MeshError {
  return new MeshError("SUBSCRIPTION_INVALID", `${path} ${what}`, { details: { path } });
}
