import { commonData } from "../combine.ts";
import type { DataCondition, Mismatch } from "../filter.ts";
import type { JsonView } from "../json-view.ts";
import { shown } from "../shown.ts";
import type { ValueList } from "./value-list.ts";

/** What a pattern asks of one place in the data. */
export interface DataNode {
  /** Of what is there; undefined = nothing is. */
  holds(value: unknown, json: JsonView): boolean;
  /** Why it does not hold; asked only then. */
  mismatch(value: unknown, at: { readonly json: JsonView; readonly field: string }): Mismatch;
  /** What the index may rely on. */
  conditions(path: readonly string[]): DataCondition[];
}

/** A list of values and operators. */
export class ListNode implements DataNode {
  readonly #list: ValueList;

  constructor(list: ValueList) {
    this.#list = list;
  }

  holds(value: unknown, json: JsonView): boolean {
    return this.#list.takesAt(value, json);
  }

  mismatch(value: unknown, { field }: { readonly field: string }): Mismatch {
    const found = shown(value);
    const wanted = this.#list.text;
    return { field, found, wanted, reason: `${field} is ${found ?? "missing"}; wanted: ${wanted}` };
  }

  conditions(path: readonly string[]): DataCondition[] {
    const values = this.#list.only;
    return values ? [{ path, values }] : [];
  }
}

/** An object of which every named field must hold, and of each `$or` one alternative. Of an array one element must. */
export class ObjectNode implements DataNode {
  readonly #fields: readonly (readonly [string, DataNode])[];
  readonly #alternatives: readonly DataNode[];

  constructor(fields: readonly (readonly [string, DataNode])[], alternatives: readonly DataNode[]) {
    this.#fields = fields;
    this.#alternatives = alternatives;
  }

  holds(value: unknown, json: JsonView): boolean {
    if (Array.isArray(value) && value.length > 0)
      return value.some((element) => this.holds(element, json));
    json.spend(1);
    for (const [name, node] of this.#fields)
      if (!node.holds(fieldOf(value, name), json)) return false;
    if (this.#alternatives.length === 0) return true;
    return this.#alternatives.some((node) => node.holds(value, json));
  }

  mismatch(value: unknown, at: { readonly json: JsonView; readonly field: string }): Mismatch {
    const { json, field } = at;
    if (Array.isArray(value) && value.length > 0) {
      if (value.length === 1) return this.mismatch(value[0], at);
      const reason = `none of the ${value.length} elements of ${field} has all that is wanted`;
      return { field, found: shown(value), reason };
    }
    for (const [name, node] of this.#fields) {
      const inside = fieldOf(value, name);
      if (!node.holds(inside, json))
        return node.mismatch(inside, { json, field: `${field}.${name}` });
    }
    const reasons = this.#alternatives.slice(0, 5).map((node) => node.mismatch(value, at).reason);
    return { field, reason: `none of the alternatives holds: ${reasons.join("; ")}` };
  }

  conditions(path: readonly string[]): DataCondition[] {
    const own = this.#fields.flatMap(([name, node]) => node.conditions([...path, name]));
    const each = this.#alternatives.map((node) => ({ data: node.conditions(path) }));
    return [...own, ...commonData(each)];
  }
}

function fieldOf(value: unknown, name: string): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
  return Object.hasOwn(value, name) ? (value as Record<string, unknown>)[name] : undefined;
}
