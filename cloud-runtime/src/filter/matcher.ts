import { attributeOf, type MeshEvent } from "@fleetmesh/core";
import type { SubscriptionFilter } from "./subscription-filter.ts";
import type { ExactCondition } from "./filter.ts";

export interface Matchable {
  readonly filter: SubscriptionFilter;
}

/** The most telling attribute first: few subscriptions share a subject, many share a type. */
const attributeOrder = ["id", "partitionkey", "subject", "source", "type"];

/**
 * Finds, among thousands, the members whose filter matches an event. A member that pins an attribute to values is found by
 * them; the others are tried one by one. So the cost grows with the members that match or cannot be indexed, not with all.
 */
export class Matcher<Member extends Matchable> {
  readonly #byAttribute = new Map<string, Map<string, Set<Member>>>();
  readonly #others = new Set<Member>();
  readonly #places = new Map<Member, ExactCondition | undefined>();

  get size(): number {
    return this.#places.size;
  }

  has(member: Member): boolean {
    return this.#places.has(member);
  }

  add(member: Member): void {
    if (this.#places.has(member)) return;
    const condition = mostTelling(member.filter.exactConditions());
    this.#places.set(member, condition);
    if (!condition) {
      this.#others.add(member);
      return;
    }
    const byValue = entryOf(
      this.#byAttribute,
      condition.attribute,
      () => new Map<string, Set<Member>>(),
    );
    for (const value of condition.values)
      entryOf(byValue, value, () => new Set<Member>()).add(member);
  }

  remove(member: Member): void {
    const condition = this.#places.get(member);
    this.#places.delete(member);
    this.#others.delete(member);
    if (!condition) return;
    const byValue = this.#byAttribute.get(condition.attribute);
    for (const value of condition.values) {
      const members = byValue?.get(value);
      members?.delete(member);
      if (members?.size === 0) byValue?.delete(value);
    }
    if (byValue?.size === 0) this.#byAttribute.delete(condition.attribute);
  }

  members(): Member[] {
    return [...this.#places.keys()];
  }

  /** Appends the members that match; each once, since a member sits under one attribute and an event has one value of it. */
  match(event: MeshEvent, into: Member[]): void {
    for (const member of this.#others) if (member.filter.matches(event)) into.push(member);
    for (const [attribute, byValue] of this.#byAttribute) {
      const value = attributeOf(event, attribute);
      if (value === undefined) continue;
      const members = byValue.get(String(value));
      if (!members) continue;
      for (const member of members) if (member.filter.matches(event)) into.push(member);
    }
  }
}

function mostTelling(conditions: readonly ExactCondition[]): ExactCondition | undefined {
  for (const attribute of attributeOrder) {
    const found = conditions.find((condition) => condition.attribute === attribute);
    if (found) return found;
  }
  return conditions[0];
}

function entryOf<Key, Value>(map: Map<Key, Value>, key: Key, make: () => Value): Value {
  const known = map.get(key);
  if (known !== undefined) return known;
  const made = make();
  map.set(key, made);
  return made;
}
