import type { DataCondition, ExactCondition, Filter, Mismatch, PrefixCondition } from "./filter.ts";

/** So many conditions of the first alternative are looked for in the others; one is enough for the index. */
const commonCountMax = 32;
const shownAlternativesMax = 5;

/**
 * All must hold. One that does not decides, whatever fails to be evaluated beside it; so the order in which filters are
 * written changes nothing.
 */
export function allOf(filters: readonly Filter[]): Filter {
  const [only] = filters;
  if (only && filters.length === 1) return only;
  return {
    matches: (event, json) => !decides(filters, (filter) => !filter.matches(event, json)),
    mismatch: (event, json) => {
      for (const filter of filters)
        if (!holds(() => filter.matches(event, json))) return filter.mismatch?.(event, json);
      return undefined;
    },
    exact: filters.flatMap(({ exact }) => exact ?? []),
    prefix: filters.flatMap(({ prefix }) => prefix ?? []),
    data: filters.flatMap(({ data }) => data ?? []),
  };
}

/** At least one must hold; one that does decides, whatever fails to be evaluated beside it. */
export function anyOf(filters: readonly Filter[]): Filter {
  const [only] = filters;
  if (only && filters.length === 1) return only;
  return {
    matches: (event, json) => decides(filters, (filter) => filter.matches(event, json)),
    mismatch: (event, json) =>
      decides(filters, (filter) => filter.matches(event, json))
        ? undefined
        : noneHolds(filters, (filter) => filter.mismatch?.(event, json)),
    exact: commonExact(filters),
    prefix: commonPrefix(filters),
    data: commonData(filters),
  };
}

/** Whether one of the filters settles the question; the first fault counts only when none does. */
function decides(filters: readonly Filter[], isDecisive: (filter: Filter) => boolean): boolean {
  let fault: { readonly error: unknown } | undefined;
  for (const filter of filters) {
    try {
      if (isDecisive(filter)) return true;
    } catch (error) {
      fault ??= { error };
    }
  }
  if (fault !== undefined) throw fault.error;
  return false;
}

/** A fault is not what decided here: it is passed over. */
function holds(claim: () => boolean): boolean {
  try {
    return claim();
  } catch {
    return true;
  }
}

function noneHolds(
  filters: readonly Filter[],
  mismatchOf: (filter: Filter) => Mismatch | undefined,
): Mismatch {
  const reasons = filters
    .slice(0, shownAlternativesMax)
    .map((filter) => mismatchOf(filter)?.reason ?? "does not hold");
  if (filters.length > reasons.length)
    reasons.push(`and ${filters.length - reasons.length} more do not hold`);
  return { reason: `none of the alternatives holds: ${reasons.join("; ")}` };
}

/** When every alternative pins the same attribute, their values together are a condition of the whole. */
export function commonExact(filters: readonly Pick<Filter, "exact">[]): ExactCondition[] {
  const [first, ...others] = filters;
  return (first?.exact ?? []).slice(0, commonCountMax).flatMap(({ attribute, values }) => {
    const rest = allOrNone(
      others.map(({ exact }) => exact?.find((one) => one.attribute === attribute)),
    );
    if (!rest) return [];
    return [{ attribute, values: [...values, ...rest.flatMap((one) => one.values)] }];
  });
}

/** A text begins with itself: alternatives that pin an attribute count as prefixes where others have only that. */
export function commonPrefix(
  filters: readonly Pick<Filter, "exact" | "prefix">[],
): PrefixCondition[] {
  const [first] = filters;
  if (first === undefined) return [];
  const attributes = [...(first.prefix ?? []), ...(first.exact ?? [])].map((one) => one.attribute);
  return [...new Set(attributes.slice(0, commonCountMax))].flatMap((attribute) => {
    const found = allOrNone(filters.map((filter) => prefixesOf(filter, attribute)));
    return found ? [{ attribute, prefixes: found.flat() }] : [];
  });
}

function prefixesOf(
  { prefix, exact }: Pick<Filter, "exact" | "prefix">,
  attribute: string,
): readonly string[] | undefined {
  const values = exact?.find((one) => one.attribute === attribute)?.values;
  return values ?? prefix?.find((one) => one.attribute === attribute)?.prefixes;
}

export function commonData(filters: readonly Pick<Filter, "data">[]): DataCondition[] {
  const [first, ...others] = filters;
  return (first?.data ?? []).slice(0, commonCountMax).flatMap(({ path, values }) => {
    const key = JSON.stringify(path);
    const rest = allOrNone(
      others.map(({ data }) => data?.find((one) => JSON.stringify(one.path) === key)),
    );
    if (!rest) return [];
    return [{ path, values: [...values, ...rest.flatMap((one) => one.values)] }];
  });
}

function allOrNone<Item>(items: readonly (Item | undefined)[]): readonly Item[] | undefined {
  const there = items.filter((item) => item !== undefined);
  return there.length === items.length ? there : undefined;
}
