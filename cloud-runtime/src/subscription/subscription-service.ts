import { isTopic, MeshError, type Chance, type Clock } from "@fleetmesh/core";
import type { Principal } from "@fleetmesh/door";
import { consentState, resumedState } from "../consent/consent-state.ts";
import type { Dispatcher } from "../delivery/dispatcher.ts";
import { sendTestEvent, type TestResult } from "../delivery/test-delivery.ts";
import { statusOf, type SubscriptionStatus } from "../delivery/subscription-status.ts";
import { admitTopicFor } from "../ingress/topic-admission.ts";
import type { Metadata, Subscription } from "../metadata/metadata.ts";
import { subscriptionUnknown } from "../metadata/metadata-state.ts";
import { hasSealedSecret, released } from "../secret/sealed-subscription.ts";
import type { EventStore } from "../store/event-store.ts";
import { AddressGuard, type AddressRules } from "../target/address-guard.ts";
import { assertReachable } from "./assert-reachable.ts";
import { assertTellsGroups, continuedPlaces } from "./continued-places.ts";
import { parseSubscription } from "./subscription-api.ts";
import type { SubscriptionBody } from "./subscription-schema.ts";
import { mayReadAll } from "./topic-permission.ts";

export interface SubscriptionServiceOptions extends AddressRules {
  readonly metadata: Metadata;
  readonly dispatcher: Dispatcher;
  readonly store: EventStore;
  readonly clock: Clock;
  readonly chance: Chance;
  /** This node's name, shown in a subscription's status. */
  readonly node: string;
}

const attemptsMax = 5;

/**
 * What may be done with subscriptions, and by whom: managing them takes an operator who may read the topic.
 * Permission is judged before existence.
 */
export class SubscriptionService {
  readonly #options: SubscriptionServiceOptions;
  readonly #guard: AddressGuard;

  constructor(options: SubscriptionServiceOptions) {
    this.#options = options;
    this.#guard = new AddressGuard(options);
  }

  list(principal: Principal): readonly Subscription[] {
    return this.#options.metadata
      .subscriptions()
      .filter(({ topic }) => mayReadAll(principal, topic));
  }

  get(principal: Principal, id: string): Subscription {
    const kept = this.#options.metadata.subscription(id);
    const isVisible = kept ? mayReadAll(principal, kept.topic) : mayReadAll(principal, ">");
    if (!isVisible) throw notPermitted(`to see the subscription "${id}"`);
    if (!kept) throw subscriptionUnknown(id);
    return kept;
  }

  async create(principal: Principal, body: unknown): Promise<Subscription> {
    assertOperator(principal);
    const wanted = parseSubscription(body);
    await this.#assertAllowed(principal, wanted);
    const { metadata, dispatcher, store, chance, clock } = this.#options;
    const id = wanted.id ?? chance.uuid();
    if (metadata.subscription(id))
      throw new MeshError("SUBSCRIPTION_EXISTS", `The subscription "${id}" exists already`);

    const createdMs = Math.floor(clock.wallMs());
    const begun = { id, ...consentState(wanted), revision: 1, createdMs };
    const isContinued = wanted.start === "continue";
    const continues = isContinued
      ? await continuedPlaces(store, { id, topic: wanted.topic })
      : undefined;
    const fresh: Subscription = { ...specOf(wanted), ...begun, ...(continues && { continues }) };
    // The start is durable before the subscription is, and both before the answer: nothing published after it is missed.
    const starts = await dispatcher.prepare(
      fresh,
      wanted.start === "earliest" ? "earliest" : "latest",
    );
    await metadata.putSubscription({ ...fresh, starts: starts.counts });
    await dispatcher.settled();
    return this.#kept(id);
  }

  replace(principal: Principal, id: string, body: unknown): Promise<Subscription> {
    return onItsNewest(() => this.#replace(principal, id, body));
  }

  async remove(principal: Principal, id: string): Promise<void> {
    this.#managed(principal, id);
    await this.#options.metadata.removeSubscription(id);
    await this.#options.dispatcher.settled();
  }

  setState(principal: Principal, id: string, state: "active" | "paused"): Promise<Subscription> {
    return onItsNewest(() => this.#setState(this.#managed(principal, id), state));
  }

  async test(principal: Principal, id: string): Promise<TestResult> {
    const kept = this.#managed(principal, id);
    if (kept.state === "pending")
      throw new MeshError("SUBSCRIPTION_INVALID", kept.stateReason ?? "The sink has not consented");
    const { dispatcher, clock, chance } = this.#options;
    return sendTestEvent(dispatcher, kept, { clock, chance });
  }

  status(principal: Principal, id: string): Promise<SubscriptionStatus & { node: string }> {
    const kept = this.get(principal, id);
    const { dispatcher, store, node } = this.#options;
    return statusOf(dispatcher, store, kept).then((status) => ({ ...status, node }));
  }

  async #replace(principal: Principal, id: string, body: unknown): Promise<Subscription> {
    const kept = this.#managed(principal, id);
    const wanted = parseSubscription(body, kept);
    if (wanted.id !== undefined && wanted.id !== id)
      throw new MeshError("SUBSCRIPTION_INVALID", "id: cannot be changed");
    await this.#assertAllowed(principal, wanted);
    // New secrets have come for those that could not be opened.
    const { createdMs, revision, continues } = kept;
    const spec = specOf(wanted);
    const changed: Subscription = {
      ...spec,
      id,
      ...consentState(wanted, released(kept)),
      createdMs,
      revision: revision + 1,
      ...(continues && { continues }),
    };
    const more = await this.#options.dispatcher.prepareMore(changed);
    const starts = { ...more.counts, ...kept.starts };
    return this.#put({ ...changed, starts });
  }

  async #setState(kept: Subscription, state: "active" | "paused"): Promise<Subscription> {
    if (kept.state === state) return kept;
    if (state === "active" && hasSealedSecret(kept))
      throw new MeshError("SUBSCRIPTION_INVALID", kept.stateReason ?? "A secret cannot be opened", {
        hint: "Bring the key back and start again, or PUT the subscription with its secrets.",
      });
    const next = state === "active" ? resumedState(kept) : state;
    const stateReason = next === "pending" ? "the sink has not consented yet" : undefined;
    return this.#put({ ...kept, state: next, stateReason, revision: kept.revision + 1 });
  }

  async #put(changed: Subscription): Promise<Subscription> {
    await this.#options.metadata.putSubscription(changed);
    await this.#options.dispatcher.settled();
    return this.#kept(changed.id);
  }

  #kept(id: string): Subscription {
    const kept = this.#options.metadata.subscription(id);
    if (!kept) throw subscriptionUnknown(id);
    return kept;
  }

  #managed(principal: Principal, id: string): Subscription {
    assertOperator(principal);
    return this.get(principal, id);
  }

  async #assertAllowed(principal: Principal, wanted: SubscriptionBody): Promise<void> {
    const { topic, replicated, transform } = wanted;
    if (replicated) assertTellsGroups(this.#options.store, "replicated");
    if (!mayReadAll(principal, topic)) throw notPermitted(`to read "${topic}"`);
    await assertReachable(wanted, this.#options, this.#guard);
    if (transform) await this.#options.dispatcher.transforms.check(transform);
    if (isTopic(topic)) await admitTopicFor(this.#options.metadata, principal, topic);
  }
}

type Spec = Omit<Subscription, "id" | "state" | "revision" | "createdMs">;

/** What of a body is kept: `start` is used once, and a credential has only fields with a value. */
function specOf(body: SubscriptionBody): Spec {
  const { topic, consumergroup, source, types, filters, transform, sink } = body;
  const { protocol, protocolsettings, sinkcredential, delivery, replicated } = body;
  const credential = sinkcredential && {
    sinkcredential: Object.fromEntries(
      Object.entries(sinkcredential).flatMap(([name, value]) =>
        value === undefined ? [] : [[name, value] as const],
      ),
    ),
  };
  const sent = { topic, consumergroup, filters, sink, protocol, protocolsettings, delivery };
  return {
    ...sent,
    ...(source !== undefined && { source }),
    ...(types && { types }),
    ...(transform && { transform }),
    ...(replicated && { replicated }),
    ...credential,
  };
}

/** Again, when the mesh itself changed the subscription meanwhile: a consent came, or a token was renewed. */
async function onItsNewest<Result>(change: () => Promise<Result>): Promise<Result> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await change();
    } catch (error) {
      if (!MeshError.is(error, "SUBSCRIPTION_EXISTS") || attempt === attemptsMax) throw error;
    }
  }
}

function assertOperator(principal: Principal): void {
  if (!principal.isOperator) throw notPermitted("to manage subscriptions");
}

function notPermitted(what: string): MeshError {
  return new MeshError("NOT_PERMITTED", `The token does not permit ${what}`);
}
