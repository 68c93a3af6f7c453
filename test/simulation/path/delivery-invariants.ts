import { compileTopicPattern, eventClasses } from "@fleetmesh/core";
import { SubscriptionFilter } from "../../../cloud-runtime/src/filter/subscription-filter.ts";
import {
  booksOf,
  type SubscriptionBooks,
} from "../../../cloud-runtime/src/delivery/subscription-status.ts";
import type { Subscription } from "../../../cloud-runtime/src/metadata/metadata.ts";
import type { StoredEvent } from "../../../cloud-runtime/src/store/event-store.ts";
import { same, storedEvents, type Exemptions } from "./invariants.ts";
import type { SimulatedAgent } from "./simulated-agent.ts";
import type { SimulatedRuntime } from "./simulated-runtime.ts";
import type { SimulatedTarget } from "./simulated-target.ts";

/** Each subscription's books, its durable cursors, and what its target took, in which order. */
export class DeliveryInvariants {
  readonly #runtime: SimulatedRuntime;
  readonly #exempt: Exemptions;
  /** Where each acknowledged event lies in its agent's class, by id. */
  readonly #places: ReadonlyMap<string, Place>;

  constructor(runtime: SimulatedRuntime, agents: readonly SimulatedAgent[], exempt: Exemptions) {
    this.#runtime = runtime;
    this.#exempt = exempt;
    this.#places = placesOf(agents);
  }

  async check(): Promise<void> {
    const stored = await storedEvents(this.#runtime.store);
    for (const subscription of this.#runtime.metadata.subscriptions())
      await this.#checkOne(subscription, stored);
  }

  async #checkOne(subscription: Subscription, all: readonly StoredEvent[]): Promise<void> {
    const { dispatcher, store, targets } = this.#runtime;
    const isOfTopic = compileTopicPattern(subscription.topic);
    const filter = new SubscriptionFilter(subscription);
    const stored = all.filter(({ topic }) => isOfTopic(topic));
    const matching = stored.filter(({ entry }) => filter.matches(entry.event));
    const books = await booksOf(dispatcher, store.events, subscription);
    const target = targets.get(subscription.id);
    if (target === undefined) throw new Error(`No target ${subscription.id}`);
    same(`${subscription.id}: the books' difference`, books.difference, 0);
    same(`${subscription.id}: nothing is pending`, books.pending, 0);
    if (!this.#exempt.isTrimming) this.#checkCounts(books, { stored, matching });
    await this.#checkCursors(books);
    await this.#checkEach(subscription, { matching, target });
    if (subscription.delivery.ordered) this.#checkOrder(subscription, target);
  }

  #checkCounts(
    books: SubscriptionBooks,
    of: { stored: readonly StoredEvent[]; matching: readonly StoredEvent[] },
  ): void {
    const { id, matchable, filtered, delivered, expired, deadLettered, trimmed, damaged } = books;
    same(`${id}: matchable`, matchable, of.stored.length);
    same(`${id}: filtered`, filtered, of.stored.length - of.matching.length);
    same(`${id}: settled`, delivered + expired + deadLettered + trimmed, of.matching.length);
    same(`${id}: nothing is trimmed`, trimmed, 0);
    same(`${id}: nothing is damaged`, damaged, 0);
  }

  /** At rest the durable cursors say what the live books say: a crash now would repeat nothing. */
  async #checkCursors(books: SubscriptionBooks): Promise<void> {
    const { deliveries, events } = this.#runtime.store;
    const { id } = books;
    const sum = { delivered: 0, filtered: 0, expired: 0, deadLettered: 0, trimmed: 0, damaged: 0 };
    for (const { topic, position, ahead, counts } of await deliveries.cursors(id)) {
      const { latest } = await events.bounds(topic);
      same(`${id}: the durable cursor of ${topic}`, position, latest);
      same(`${id}: settled ahead of the cursor of ${topic}`, ahead, []);
      for (const name of Object.keys(sum) as (keyof typeof sum)[]) sum[name] += counts[name];
    }
    const { delivered, filtered, expired, deadLettered, trimmed, damaged } = books;
    const live = { delivered, filtered, expired, deadLettered, trimmed, damaged };
    same(`${id}: the durable counts`, sum, live);
    const letters = await deliveries.deadLetters({ subscription: id, limit: 1e6 });
    same(`${id}: dead letters as counted`, letters.length, deadLettered);
    same(`${id}: no retry is left over`, await deliveries.retries(id), []);
  }

  async #checkEach(
    { id }: Subscription,
    { matching, target }: { matching: readonly StoredEvent[]; target: SimulatedTarget },
  ): Promise<void> {
    const letters = await this.#runtime.store.deliveries.deadLetters({
      subscription: id,
      limit: 1e6,
    });
    const dead = new Set(letters.map(({ entry }) => entry.event.id));
    for (const { entry } of matching) {
      const { event } = entry;
      const isExcused = dead.has(event.id) || event.extensions.length > 0;
      if (!target.taken.has(event.id) && !isExcused)
        throw new Error(`${id}: ${event.id} of ${entry.topic} was never delivered`);
    }
    for (const taken of target.taken)
      if (!this.#places.has(taken)) throw new Error(`${id}: took ${taken}, which nobody published`);
  }

  /**
   * In the order of first delivery. What was given up, or had expired, let its key go on; when a crash came before that was
   * durable, it may be delivered yet, behind what it had let pass.
   */
  #checkOrder({ delivery }: Subscription, target: SimulatedTarget): void {
    const isPatient = delivery.whenBlocked !== "dead-letter";
    const last = new Map<string, number>();
    for (const id of target.taken) {
      const place = this.#places.get(id);
      if (place === undefined) continue;
      const before = last.get(place.stream) ?? 0;
      const isGivenUp = target.refused.has(id) || (!isPatient && target.failed.has(id));
      if (place.sequence <= before && (isGivenUp || place.isMortal)) continue;
      if (place.sequence <= before)
        throw new Error(`${target.subscription}: ${id} came behind ${before} of ${place.stream}`);
      last.set(place.stream, place.sequence);
    }
  }
}

interface Place {
  /** Agent, class, topic and key: order holds within it. */
  readonly stream: string;
  readonly sequence: number;
  readonly isMortal: boolean;
}

function placesOf(agents: readonly SimulatedAgent[]): Map<string, Place> {
  const places = new Map<string, Place>();
  for (const { identity, produced } of agents)
    for (const eventClass of eventClasses)
      produced[eventClass].forEach(({ id, topic, key, isMortal }, index) =>
        places.set(id, {
          stream: `${identity.agentId} ${eventClass} ${topic} ${key}`,
          sequence: index + 1,
          isMortal,
        }),
      );
  return places;
}
