import type { MeshEvent } from "@fleetmesh/core";

/**
 * A compiled filter: a claim about an event's attributes (and later its data).
 * Guarantees: `matches` is a pure function of the event, does no I/O and ends soon. It may throw: whoever evaluates it takes
 * that as "not matched" and counts it.
 */
export interface Filter {
  matches(event: MeshEvent): boolean;
  /**
   * Attribute conditions of which at least one alternative must hold for the filter to match: what the index is built from.
   * Undefined when the filter promises nothing of the kind.
   */
  readonly exact?: readonly ExactCondition[] | undefined;
}

/** The attribute must be one of the values (compared as canonical text). */
export interface ExactCondition {
  readonly attribute: string;
  readonly values: readonly string[];
}

/** Compiles a nested filter object. */
export type CompileNested = (spec: unknown, path: string) => Filter;

/** Compiles the operand of one dialect. Throws SUBSCRIPTION_INVALID naming the path. */
export type Dialect = (operand: unknown, path: string, nested: CompileNested) => Filter;
