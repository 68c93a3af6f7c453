import type { Scalar } from "../filter.ts";
import { invalidFilter } from "../invalid-filter.ts";
import type { JsonView } from "../json-view.ts";
import { shown } from "../shown.ts";
import { compileOperator, operatorEntry, scalarOf, type ValueTest } from "./operators.ts";
import { isPlainObject, type PatternPlace } from "./pattern-place.ts";

/** A step for every so many characters that a test may have to look at. */
const stepLength = 64;

/** The list at a leaf of a pattern: one of its values or operators must hold. */
export class ValueList {
  /** As written, for people. */
  readonly text: string;
  /** An absent value meets it. */
  readonly takesNothing: boolean;
  readonly #takesAnything: boolean;
  readonly #values: ReadonlySet<Scalar>;
  readonly #tests: readonly ValueTest[];
  readonly #weight: number;

  /** Throws SUBSCRIPTION_INVALID naming the place. */
  constructor(spec: readonly unknown[], place: PatternPlace) {
    if (spec.length === 0) throw invalidFilter(place.path, "must have at least one value");
    const presence = new Set<boolean>();
    const values = new Set<Scalar>();
    const tests: ValueTest[] = [];
    for (const [index, item] of spec.entries()) {
      const at = place.under(`[${index}]`);
      if (!isPlainObject(item)) {
        at.countCondition();
        values.add(scalarOf(item, at));
        continue;
      }
      const [name, operand] = operatorEntry(item, at);
      if (name === "exists") presence.add(presenceOf(operand, at));
      else tests.push(compileOperator(name, operand, at));
    }
    this.text = `one of ${shown(spec) ?? ""}`;
    this.takesNothing = presence.has(false);
    this.#takesAnything = presence.has(true);
    this.#values = values;
    this.#tests = tests;
    this.#weight = tests.reduce((sum, { weight }) => sum + weight, 0);
  }

  /** The values of which one must be there; undefined when something else can meet the list. */
  get only(): readonly Scalar[] | undefined {
    const isOnly = this.#tests.length === 0 && !this.takesNothing && !this.#takesAnything;
    return isOnly ? [...this.#values] : undefined;
  }

  /** What a text that meets the list begins with; undefined when something else can meet it. */
  get heads(): readonly string[] | undefined {
    if (this.takesNothing || this.#takesAnything) return undefined;
    const heads: string[] = [];
    for (const test of this.#tests) {
      if (test.heads === undefined) return undefined;
      heads.push(...test.heads);
    }
    return [...heads, ...[...this.#values].map(String)];
  }

  /** Of one value that is there. */
  takes(value: Scalar): boolean {
    if (this.#takesAnything || this.#values.has(value)) return true;
    for (const test of this.#tests) if (test.holds(value)) return true;
    return false;
  }

  /** How many steps its operators may take over a value. */
  stepsFor(value: Scalar): number {
    const length = typeof value === "string" ? value.length : 0;
    return this.#weight * (1 + Math.floor(length / stepLength));
  }

  /** Of whatever is at a place in the data, undefined being nothing; of an array one element at any depth must do. */
  takesAt(value: unknown, json: JsonView): boolean {
    if (value === undefined) return this.takesNothing;
    if (this.#takesAnything) return true;
    if (Array.isArray(value)) return value.some((element) => this.takesAt(element, json));
    if (typeof value === "object" && value !== null) return false;
    json.spend(1 + this.stepsFor(value as Scalar));
    return this.takes(value as Scalar);
  }
}

function presenceOf(operand: unknown, place: PatternPlace): boolean {
  place.countCondition();
  if (typeof operand === "boolean") return operand;
  throw invalidFilter(`${place.path}.exists`, "must be true or false");
}
