import type { MeshEvent } from "@fleetmesh/core";
import type { FilterSpec } from "../metadata/metadata.ts";
import { attributeClaim } from "./attribute-claim.ts";
import { compileFilter } from "./compile-filter.ts";
import type { DataCondition, ExactCondition, Filter, Mismatch, PrefixCondition } from "./filter.ts";
import { JsonView } from "./json-view.ts";

export interface FilterSource {
  readonly source?: string | undefined;
  readonly types?: readonly string[] | undefined;
  readonly filters: readonly FilterSpec[];
}

/** Why an event does not match: the first clause that it does not meet, and what is wrong there. */
export interface FailedClause extends Mismatch {
  /** Where it is written: `source`, `types` or `filters[0]`. */
  readonly path: string;
  /** The clause itself. */
  readonly clause: string;
  /** The clause could not be evaluated, which counts as not met. */
  readonly isFault?: boolean | undefined;
}

interface Clause {
  readonly path: string;
  readonly text: string;
  readonly filter: Filter;
}

export interface Conditions {
  readonly exact: readonly ExactCondition[];
  readonly prefix: readonly PrefixCondition[];
  readonly data: readonly DataCondition[];
}

/** All that one subscription asks of an event: `source`, `types` and every filter object must hold. */
export class SubscriptionFilter {
  readonly #clauses: readonly Clause[];
  #errorCount = 0;
  #lastError: string | undefined;

  constructor(source: FilterSource) {
    this.#clauses = [...constraintClauses(source), ...filterClauses(source.filters)];
  }

  /** How often an evaluation failed; each counted as not matched. */
  get errorCount(): number {
    return this.#errorCount;
  }

  /** What went wrong last. */
  get lastError(): string | undefined {
    return this.#lastError;
  }

  /** The view is of this event and shared by all who are asked about it. */
  matches(event: MeshEvent, json: JsonView = new JsonView(event)): boolean {
    try {
      json.renew();
      for (const { filter } of this.#clauses) if (!filter.matches(event, json)) return false;
      return true;
    } catch (error) {
      this.#errorCount += 1;
      this.#lastError = textOf(error);
      return false;
    }
  }

  /** The first clause that the event does not meet; undefined when it meets all. */
  failedClause(event: MeshEvent): FailedClause | undefined {
    const json = new JsonView(event);
    for (const { path, text: clause, filter } of this.#clauses) {
      try {
        if (filter.matches(event, json)) continue;
        const mismatch = filter.mismatch?.(event, json) ?? { reason: "the expression is not true" };
        return { path, clause, ...mismatch };
      } catch (error) {
        return { path, clause, reason: textOf(error), isFault: true };
      }
    }
    return undefined;
  }

  /** Of which every one must hold: what the index is built from. */
  conditions(): Conditions {
    const filters = this.#clauses.map(({ filter }) => filter);
    return {
      exact: filters.flatMap(({ exact }) => exact ?? []),
      prefix: filters.flatMap(({ prefix }) => prefix ?? []),
      data: filters.flatMap(({ data }) => data ?? []),
    };
  }
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function constraintClauses({ source, types }: FilterSource): Clause[] {
  const clauses: Clause[] = [];
  if (source !== undefined) clauses.push(oneOf("source", "source", [source]));
  if (types !== undefined && types.length > 0) clauses.push(oneOf("types", "type", types));
  return clauses;
}

function oneOf(path: string, attribute: string, values: readonly string[]): Clause {
  const wanted = new Set(values);
  const text = `${attribute} in ${JSON.stringify(values)}`;
  const filter = attributeClaim({
    attribute,
    holds: (value) => value !== undefined && wanted.has(value),
    wanted: `one of ${JSON.stringify(values).slice(0, 200)}`,
    exact: values,
  });
  return { path, text, filter };
}

function filterClauses(filters: readonly FilterSpec[]): Clause[] {
  return filters.map((spec, index) => {
    const path = `filters[${index}]`;
    return { path, text: JSON.stringify(spec), filter: compileFilter(spec, path) };
  });
}
