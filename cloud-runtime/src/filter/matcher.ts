import type { MeshEvent } from "@fleetmesh/core";
import { AttributeIndex } from "./attribute-index.ts";
import { DataIndex } from "./data-index.ts";
import { JsonView } from "./json-view.ts";
import type { SubscriptionFilter } from "./subscription-filter.ts";

export interface Matchable {
  readonly filter: SubscriptionFilter;
}

/** The most telling attribute first, where nobody is yet: few subscriptions share a subject, many share a type. */
const attributeOrder = ["id", "partitionkey", "subject", "source", "", "type"];
/** Data must be parsed to be looked at: a crowd of so many at an attribute is still cheaper. */
const dataCrowd = 8;
/** An attribute's beginning tells less than all of it. */
const prefixCrowd = 1;

/** Where a member is found. */
interface Seat {
  /** How many others are found with it there. */
  readonly crowd: number;
  readonly rank: number;
  readonly enter: () => void;
  readonly leave: () => void;
}

/**
 * Finds, among thousands, the members whose filter matches an event. A member that asks for a value or a beginning of an
 * attribute, or for a value in the data, is found by that; of several conditions by the one which the fewest others share.
 * The others are tried one by one. So the cost grows with the members that match or cannot be indexed, not with all.
 */
export class Matcher<Member extends Matchable> {
  readonly #attributes = new AttributeIndex<Member>();
  readonly #data = new DataIndex<Member>();
  readonly #others = new Set<Member>();
  readonly #seats = new Map<Member, Seat>();

  get size(): number {
    return this.#seats.size;
  }

  has(member: Member): boolean {
    return this.#seats.has(member);
  }

  add(member: Member): void {
    if (this.#seats.has(member)) return;
    const seat = this.#seatOf(member);
    this.#seats.set(member, seat);
    seat.enter();
  }

  remove(member: Member): void {
    this.#seats.get(member)?.leave();
    this.#seats.delete(member);
  }

  members(): Member[] {
    return [...this.#seats.keys()];
  }

  /** Appends the members that match, each once. The event's data is parsed at most once for all of them. */
  match(event: MeshEvent, into: Member[]): void {
    const json = new JsonView(event);
    const tryEach = (members: ReadonlySet<Member>): void => {
      for (const member of members) if (member.filter.matches(event, json)) into.push(member);
    };
    tryEach(this.#others);
    this.#attributes.find(event, tryEach);
    // Where the data does not parse, a filter that asks for a value in it cannot match.
    if (this.#data.isEmpty || json.fault !== undefined) return;
    for (const member of this.#foundByData(json.value))
      if (member.filter.matches(event, json)) into.push(member);
  }

  /** Arrays lead to a member by several ways. */
  #foundByData(data: unknown): ReadonlySet<Member> {
    let found: ReadonlySet<Member> | undefined;
    let all: Set<Member> | undefined;
    this.#data.find(data, (members) => {
      if (found === undefined) found = members;
      else {
        all ??= new Set(found);
        for (const member of members) all.add(member);
      }
    });
    return all ?? found ?? new Set();
  }

  #seatOf(member: Member): Seat {
    let best: Seat | undefined;
    for (const seat of this.#seatsFor(member))
      if (best === undefined || isBetter(seat, best)) best = seat;
    return best ?? this.#seatAmongOthers(member);
  }

  *#seatsFor(member: Member): Iterable<Seat> {
    const { exact, prefix, data } = member.filter.conditions();
    const attributes = this.#attributes;
    for (const one of exact)
      yield {
        crowd: attributes.crowdOfExact(one),
        rank: rankOf(one.attribute),
        enter: () => attributes.addExact(one, member),
        leave: () => attributes.removeExact(one, member),
      };
    for (const one of prefix)
      yield {
        crowd: attributes.crowdOfPrefix(one) + prefixCrowd,
        rank: rankOf(one.attribute),
        enter: () => attributes.addPrefix(one, member),
        leave: () => attributes.removePrefix(one, member),
      };
    for (const one of data)
      yield {
        crowd: this.#data.crowdOf(one) + dataCrowd,
        rank: 0,
        enter: () => this.#data.add(one, member),
        leave: () => this.#data.remove(one, member),
      };
  }

  #seatAmongOthers(member: Member): Seat {
    return {
      crowd: 0,
      rank: 0,
      enter: () => this.#others.add(member),
      leave: () => this.#others.delete(member),
    };
  }
}

function isBetter(one: Seat, other: Seat): boolean {
  return one.crowd === other.crowd ? one.rank < other.rank : one.crowd < other.crowd;
}

function rankOf(attribute: string): number {
  const at = attributeOrder.indexOf(attribute);
  return at === -1 ? attributeOrder.indexOf("") : at;
}
