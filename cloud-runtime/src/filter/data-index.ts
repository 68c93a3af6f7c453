import type { DataCondition, Scalar } from "./filter.ts";

interface Field<Member> {
  readonly fields: Map<string, Field<Member>>;
  readonly byValue: Map<Scalar, Set<Member>>;
}

/** Where an object has fewer fields than the index has, its own are looked up; and the other way round. */
const fewFields = 8;

/**
 * Members by a condition on the data: a tree of fields that is walked along with the data, so that a look-up costs what the
 * smaller of the two has. Arrays are passed through; a member may be found more than once then.
 */
export class DataIndex<Member> {
  readonly #root: Field<Member> = newField();

  get isEmpty(): boolean {
    return isEmpty(this.#root);
  }

  add({ path, values }: DataCondition, member: Member): void {
    let field = this.#root;
    for (const name of path) {
      const next = field.fields.get(name) ?? newField<Member>();
      field.fields.set(name, next);
      field = next;
    }
    for (const value of values) {
      const members = field.byValue.get(value);
      if (members) members.add(member);
      else field.byValue.set(value, new Set([member]));
    }
  }

  remove({ path, values }: DataCondition, member: Member): void {
    const way = this.#wayTo(path);
    const field = way.at(-1);
    for (const value of values) {
      const members = field?.byValue.get(value);
      members?.delete(member);
      if (members?.size === 0) field?.byValue.delete(value);
    }
    for (let at = way.length - 1; at > 0; at -= 1) {
      const inner = way[at];
      if (inner === undefined || !isEmpty(inner)) return;
      way[at - 1]?.fields.delete(path[at - 1] ?? "");
    }
  }

  crowdOf({ path, values }: DataCondition): number {
    const byValue = this.#wayTo(path).at(-1)?.byValue;
    return values.reduce<number>((sum, value) => sum + (byValue?.get(value)?.size ?? 0), 0);
  }

  find(data: unknown, found: (members: ReadonlySet<Member>) => void): void {
    walk(this.#root, data, found);
  }

  #wayTo(path: readonly string[]): Field<Member>[] {
    const way = [this.#root];
    for (const name of path) {
      const next = way.at(-1)?.fields.get(name);
      if (next === undefined) return [];
      way.push(next);
    }
    return way;
  }
}

function newField<Member>(): Field<Member> {
  return { fields: new Map(), byValue: new Map() };
}

function isEmpty<Member>({ fields, byValue }: Field<Member>): boolean {
  return fields.size === 0 && byValue.size === 0;
}

/** Its depth is that of the data, which is bounded. */
function walk<Member>(
  field: Field<Member>,
  value: unknown,
  found: (members: ReadonlySet<Member>) => void,
): void {
  if (Array.isArray(value)) {
    for (const element of value) walk(field, element, found);
  } else if (typeof value === "object" && value !== null) {
    walkFields(field, value as Readonly<Record<string, unknown>>, found);
  } else {
    const members = field.byValue.get(value as Scalar);
    if (members !== undefined) found(members);
  }
}

function walkFields<Member>(
  { fields }: Field<Member>,
  value: Readonly<Record<string, unknown>>,
  found: (members: ReadonlySet<Member>) => void,
): void {
  if (fields.size <= fewFields) {
    for (const [name, field] of fields)
      if (Object.hasOwn(value, name)) walk(field, value[name], found);
    return;
  }
  for (const name of Object.keys(value)) {
    const field = fields.get(name);
    if (field !== undefined) walk(field, value[name], found);
  }
}
