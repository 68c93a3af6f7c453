import type { MeshEvent } from "@fleetmesh/core";
import type { ExactCondition, PrefixCondition } from "./filter.ts";
import { PrefixTree } from "./prefix-tree.ts";

type Receive<Member> = (members: ReadonlySet<Member>) => void;

/** The members of one attribute, by its whole value and by what it begins with. */
class ValueIndex<Member> {
  readonly byValue = new Map<string, Set<Member>>();
  readonly byPrefix = new PrefixTree<Member>();

  get isEmpty(): boolean {
    return this.byValue.size === 0 && this.byPrefix.isEmpty;
  }
}

/** Members by a condition on an attribute. An event finds each member at most once, since it has one value of an attribute. */
export class AttributeIndex<Member> {
  readonly #byAttribute = new Map<string, ValueIndex<Member>>();

  addExact({ attribute, values }: ExactCondition, member: Member): void {
    const { byValue } = this.#indexOf(attribute);
    for (const value of values) {
      const members = byValue.get(value);
      if (members) members.add(member);
      else byValue.set(value, new Set([member]));
    }
  }

  removeExact({ attribute, values }: ExactCondition, member: Member): void {
    const index = this.#byAttribute.get(attribute);
    for (const value of values) {
      const members = index?.byValue.get(value);
      members?.delete(member);
      if (members?.size === 0) index?.byValue.delete(value);
    }
    if (index?.isEmpty) this.#byAttribute.delete(attribute);
  }

  addPrefix({ attribute, prefixes }: PrefixCondition, member: Member): void {
    const { byPrefix } = this.#indexOf(attribute);
    for (const prefix of shortest(prefixes)) byPrefix.add(prefix, member);
  }

  removePrefix({ attribute, prefixes }: PrefixCondition, member: Member): void {
    const index = this.#byAttribute.get(attribute);
    for (const prefix of shortest(prefixes)) index?.byPrefix.remove(prefix, member);
    if (index?.isEmpty) this.#byAttribute.delete(attribute);
  }

  /** How many members share the condition's places: what a look-up there costs. */
  crowdOfExact({ attribute, values }: ExactCondition): number {
    const byValue = this.#byAttribute.get(attribute)?.byValue;
    return values.reduce((sum, value) => sum + (byValue?.get(value)?.size ?? 0), 0);
  }

  crowdOfPrefix({ attribute, prefixes }: PrefixCondition): number {
    const byPrefix = this.#byAttribute.get(attribute)?.byPrefix;
    return prefixes.reduce((sum, prefix) => sum + (byPrefix?.countAt(prefix) ?? 0), 0);
  }

  /** Hands over every member whose condition the event meets. */
  find(event: MeshEvent, found: Receive<Member>): void {
    if (this.#byAttribute.size === 0) return;
    this.#findBy("id", event.id, found);
    this.#findBy("source", event.source, found);
    this.#findBy("type", event.type, found);
    this.#findBy("subject", event.subject, found);
    this.#findBy("time", event.time, found);
    this.#findBy("datacontenttype", event.datacontenttype, found);
    this.#findBy("dataschema", event.dataschema, found);
    this.#findBy("specversion", "1.0", found);
    for (const [name, value] of event.extensions) this.#findBy(name, String(value), found);
  }

  #findBy(attribute: string, value: string | undefined, found: Receive<Member>): void {
    if (value === undefined) return;
    const index = this.#byAttribute.get(attribute);
    if (index === undefined) return;
    const members = index.byValue.get(value);
    if (members !== undefined) found(members);
    index.byPrefix.find(value, found);
  }

  #indexOf(attribute: string): ValueIndex<Member> {
    const known = this.#byAttribute.get(attribute);
    if (known !== undefined) return known;
    const made = new ValueIndex<Member>();
    this.#byAttribute.set(attribute, made);
    return made;
  }
}

/** Without those that begin with another of them: what is left are ways of which a text goes one at most. */
function shortest(prefixes: readonly string[]): string[] {
  const kept: string[] = [];
  for (const prefix of [...prefixes].sort()) {
    const last = kept.at(-1);
    if (last === undefined || !prefix.startsWith(last)) kept.push(prefix);
  }
  return kept;
}
