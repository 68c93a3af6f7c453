import {
  Backoff,
  MeshError,
  type Chance,
  type Clock,
  type Logger,
  type Part,
  type Timer,
} from "@fleetmesh/core";
import type { Metadata, Subscription } from "../metadata/metadata.ts";
import { AddressGuard, type AddressRules } from "../target/address-guard.ts";
import { guardedRequest, type GuardedAnswer } from "../target/guarded-request.ts";
import {
  consentRequestOf,
  readConsent,
  requestedRateOf,
  type ConsentAnswer,
  type ConsentCaller,
} from "./consent-request.ts";
import { granted } from "./consent-state.ts";

export interface SinkConsentOptions extends AddressRules {
  readonly metadata: Metadata;
  readonly clock: Clock;
  readonly chance: Chance;
  readonly logger: Logger;
  readonly caller: ConsentCaller;
}

/** Asking that is under way, or waits for its next try. */
interface Asking {
  revision: number;
  readonly pauses: Backoff;
  timer: Timer | undefined;
}

const pauses = { initialMs: 10_000, maxMs: 3_600_000, floor: 0.5 };
const atOnceMax = 16;
const busyMs = 1_000;

/**
 * Asks the sinks of pending subscriptions for their consent, again and again and ever less often, until they give it, call
 * back, or nobody wants it any more.
 */
export class SinkConsent implements Part {
  readonly name = "sink consent";
  readonly #options: SinkConsentOptions;
  readonly #guard: AddressGuard;
  readonly #asking = new Map<string, Asking>();
  readonly #running = new Set<Promise<void>>();
  #unfollow: (() => void) | undefined;
  #isStopped = false;

  constructor(options: SinkConsentOptions) {
    this.#options = options;
    this.#guard = new AddressGuard(options);
  }

  start(): Promise<void> {
    this.#unfollow ??= this.#options.metadata.onChanged(() => this.#follow());
    this.#follow();
    return Promise.resolve();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#unfollow?.();
    for (const { timer } of this.#asking.values()) timer?.cancel();
    this.#asking.clear();
    await Promise.all(this.#running);
  }

  #follow(): void {
    if (this.#isStopped) return;
    const pending = new Map<string, Subscription>();
    for (const one of this.#options.metadata.subscriptions())
      if (one.state === "pending") pending.set(one.id, one);
    for (const [id, { timer }] of this.#asking) {
      if (pending.has(id)) continue;
      timer?.cancel();
      this.#asking.delete(id);
    }
    for (const [id, { revision }] of pending)
      if (this.#asking.get(id)?.revision !== revision) this.#begin(id, revision);
  }

  #begin(id: string, revision: number): void {
    this.#asking.get(id)?.timer?.cancel();
    const asking = {
      revision,
      pauses: new Backoff(pauses, this.#options.chance),
      timer: undefined,
    };
    this.#asking.set(id, asking);
    this.#askIn(id, asking, 0);
  }

  #askIn(id: string, asking: Asking, delayMs: number): void {
    asking.timer = this.#options.clock.setTimer(delayMs, () => {
      if (this.#running.size >= atOnceMax) {
        this.#askIn(id, asking, busyMs);
        return;
      }
      const run = this.#ask(id, asking).finally(() => this.#running.delete(run));
      this.#running.add(run);
    });
  }

  async #ask(id: string, asking: Asking): Promise<void> {
    const subscription = this.#options.metadata.subscription(id);
    if (subscription?.revision !== asking.revision) return;
    const answer = await this.#answerOf(subscription);
    // It was changed, or has been consented to by the callback meanwhile.
    if (this.#isStopped || this.#asking.get(id) !== asking) return;
    try {
      await this.#keep(subscription, asking, answer);
    } catch (error) {
      this.#options.logger.warn({ err: error, subscription: id }, "Consent not kept yet.");
    }
    if (this.#asking.get(id) === asking) this.#askIn(id, asking, asking.pauses.next());
  }

  async #answerOf(subscription: Subscription): Promise<ConsentAnswer> {
    const { caller, clock } = this.#options;
    try {
      const request = consentRequestOf(subscription, caller);
      const said: GuardedAnswer = await guardedRequest(request, { guard: this.#guard, clock });
      return readConsent(said, caller.origin, requestedRateOf(subscription));
    } catch (error) {
      return { kind: "none", why: MeshError.from(error).message };
    }
  }

  async #keep(kept: Subscription, asking: Asking, answer: ConsentAnswer): Promise<void> {
    const { metadata, clock } = this.#options;
    if (answer.kind === "granted") {
      await metadata.putSubscription(granted(kept, { ...answer, atMs: clock.wallMs() }));
      return;
    }
    const stateReason = `the sink has not consented yet: ${answer.why}`;
    if (kept.stateReason === stateReason) return;
    const revision = kept.revision + 1;
    const before = asking.revision;
    // Our own change is no reason to ask at once.
    asking.revision = revision;
    try {
      await metadata.putSubscription({ ...kept, stateReason, revision });
    } catch (error) {
      asking.revision = before;
      throw error;
    }
  }
}
