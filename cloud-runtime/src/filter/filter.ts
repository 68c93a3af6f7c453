import type { MeshEvent } from "@fleetmesh/core";
import type { JsonView } from "./json-view.ts";

/**
 * A compiled filter: a claim about an event's attributes and data.
 * Guarantees: `matches` is a pure function of the event, does no I/O and ends soon. It may throw: whoever evaluates it takes
 * that as "not matched" and counts it. The view is of the same event and shared by all filters that look at its data; a
 * filter that is given none makes its own.
 */
export interface Filter {
  matches(event: MeshEvent, json?: JsonView): boolean;
  /** Why `matches` gives false, as far as it can be said; undefined when it gives true. May throw where `matches` does. */
  mismatch?(event: MeshEvent, json?: JsonView): Mismatch | undefined;
  /**
   * What must hold for the filter to match: what the index is built from. Each condition is necessary by itself, none is
   * sufficient; undefined when the filter promises nothing of the kind.
   */
  readonly exact?: readonly ExactCondition[] | undefined;
  readonly prefix?: readonly PrefixCondition[] | undefined;
  readonly data?: readonly DataCondition[] | undefined;
}

/** The attribute must be one of the values (compared as canonical text). */
export interface ExactCondition {
  readonly attribute: string;
  readonly values: readonly string[];
}

/** The attribute's canonical text must begin with one of these. */
export interface PrefixCondition {
  readonly attribute: string;
  readonly prefixes: readonly string[];
}

export type Scalar = string | number | boolean | null;

/** A value there, or one of the elements where arrays are on the way or at its end, must be one of these. */
export interface DataCondition {
  readonly path: readonly string[];
  readonly values: readonly Scalar[];
}

/** The first condition of a filter that an event does not meet. */
export interface Mismatch {
  /** The attribute, or the way into the data with dots: `type`, `data.location.city`. */
  readonly field?: string | undefined;
  /** What the event has there, as JSON text cut to a readable length; undefined when it has nothing. */
  readonly found?: string | undefined;
  /** What the filter asks for there, in words. */
  readonly wanted?: string | undefined;
  /** One sentence for people. */
  readonly reason: string;
}

/** Compiles a nested filter object. */
export type CompileNested = (spec: unknown, path: string) => Filter;

/** Compiles the operand of one dialect. Throws SUBSCRIPTION_INVALID naming the path. */
export type Dialect = (operand: unknown, path: string, nested: CompileNested) => Filter;
