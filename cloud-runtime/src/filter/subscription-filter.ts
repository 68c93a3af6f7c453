import { attributeOf, type MeshEvent } from "@fleetmesh/core";
import type { FilterSpec } from "../metadata/metadata.ts";
import { compileFilter } from "./compile-filter.ts";
import type { ExactCondition, Filter } from "./filter.ts";

export interface FilterSource {
  readonly source?: string | undefined;
  readonly types?: readonly string[] | undefined;
  readonly filters: readonly FilterSpec[];
}

interface Clause {
  readonly text: string;
  readonly filter: Filter;
}

/** All that one subscription asks of an event: `source`, `types` and every filter object must hold. */
export class SubscriptionFilter {
  readonly #clauses: readonly Clause[];
  #errorCount = 0;

  constructor(source: FilterSource) {
    this.#clauses = [...constraintClauses(source), ...filterClauses(source.filters)];
  }

  /** How often an evaluation failed; each counted as not matched. */
  get errorCount(): number {
    return this.#errorCount;
  }

  matches(event: MeshEvent): boolean {
    try {
      for (const { filter } of this.#clauses) if (!filter.matches(event)) return false;
      return true;
    } catch {
      this.#errorCount += 1;
      return false;
    }
  }

  /** The first clause that the event does not meet, as text; undefined when it meets all. */
  failedClause(event: MeshEvent): string | undefined {
    for (const { text, filter } of this.#clauses) {
      try {
        if (!filter.matches(event)) return text;
      } catch (error) {
        return `${text} failed: ${String(error)}`;
      }
    }
    return undefined;
  }

  exactConditions(): ExactCondition[] {
    return this.#clauses.flatMap(({ filter }) => filter.exact ?? []);
  }
}

function constraintClauses({ source, types }: FilterSource): Clause[] {
  const clauses: Clause[] = [];
  if (source !== undefined) clauses.push(oneOf("source", [source]));
  if (types !== undefined && types.length > 0) clauses.push(oneOf("type", types));
  return clauses;
}

function oneOf(attribute: string, values: readonly string[]): Clause {
  const wanted = new Set(values);
  return {
    text: `${attribute} in ${JSON.stringify(values)}`,
    filter: {
      matches: (event) => wanted.has(String(attributeOf(event, attribute))),
      exact: [{ attribute, values }],
    },
  };
}

function filterClauses(filters: readonly FilterSpec[]): Clause[] {
  return filters.map((spec, index) => ({
    text: JSON.stringify(spec),
    filter: compileFilter(spec, `filters[${index}]`),
  }));
}
