import { MeshError, type Timer } from "@fleetmesh/core";
import { SubscriptionFilter } from "../filter/subscription-filter.ts";
import type { PendingRetry } from "../store/delivery-store.ts";
import type { StoredEvent } from "../store/event-store.ts";
import type { DeliveryOutcome, Target } from "../target/target.ts";
import type { Settlement } from "./cursor-tracker.ts";
import { deadLetterOf } from "./dead-letter.ts";
import { DeliveryItem } from "./delivery-item.ts";
import { isRecorded, recordOf } from "./delivery-record.ts";
import { DeliveryWindow } from "./delivery-window.ts";
import { isExpired } from "./expiry.ts";
import type { Feed, FeedOwner } from "./feed.ts";
import { Lanes } from "./lanes.ts";
import { KnownRetries } from "./known-retries.ts";
import { loadParked } from "./load-parked.ts";
import type { RunnerOptions, RunnerState } from "./runner-options.ts";
import { retryDelayMs } from "./retry-ladder.ts";
import type { RunnerTelemetry } from "./runner-telemetry.ts";
import { TransformedDeliveries, unfitReason, type TransformOwner } from "./transformed-delivery.ts";

type Failure = Extract<DeliveryOutcome, { kind: "failed" | "refused" }>;

/** Delivers to one subscription: takes events from its feeds, sends them lane by lane within its window, settles each once. */
export class SubscriptionRunner implements FeedOwner, TransformOwner {
  readonly subscriptionId: string;
  readonly timeoutMs: number;
  readonly filter: SubscriptionFilter;
  readonly feeds = new Map<string, Feed>();
  readonly target: Target;
  readonly #options: RunnerOptions;
  readonly #lanes: Lanes;
  readonly #window: DeliveryWindow;
  readonly #retryTimers = new Map<DeliveryItem, Timer>();
  readonly #knownRetries: KnownRetries;
  /** Undefined = events go out as they are. */
  readonly #transformed: TransformedDeliveries | undefined;
  #state: RunnerState;
  #lastError: string | undefined;
  readonly #redriven = new Set<DeliveryItem>();
  readonly #fullFeeds = new Set<Feed>();
  #isPumping = false;

  constructor(options: RunnerOptions, retries: readonly PendingRetry[]) {
    const { subscription } = options;
    this.#options = options;
    this.subscriptionId = subscription.id;
    this.timeoutMs = subscription.delivery.timeoutMs;
    this.filter = new SubscriptionFilter(subscription);
    this.target = options.target;
    this.#state = subscription.state;
    this.#lanes = new Lanes(subscription.delivery.ordered);
    this.#window = new DeliveryWindow({ ...options, ...subscription, onOpen: () => this.pump() });
    this.#knownRetries = new KnownRetries(retries, options.clock);
    const { transformer } = options;
    this.#transformed =
      transformer && new TransformedDeliveries({ ...options, transformer, owner: this });
  }

  get state(): RunnerState {
    return this.#state;
  }

  get telemetry(): RunnerTelemetry {
    return this.#options.telemetry;
  }

  get lastError(): string | undefined {
    return this.#lastError;
  }

  setState(state: RunnerState): void {
    if (this.#state === "stopping") return;
    this.#state = state;
    this.pump();
  }

  hasRoom(feed: Feed): boolean {
    const { bytesMax, inHandMax } = this.#options.bounds;
    return (
      this.#state === "active" && this.#lanes.byteCount < bytesMax && feed.inHandCount < inHandMax
    );
  }

  /**
   * Reading far ahead of the target gains nothing and costs dear: what waits for long outlives the collector's young
   * generation, where it would have been free. Where few keys have events ready, reading goes on to find others.
   */
  get isSated(): boolean {
    const { windowMax } = this.#options.subscription.delivery;
    return this.#lanes.readyCount >= windowMax * readAheadWindows;
  }

  becameFull(feed: Feed): void {
    this.#fullFeeds.add(feed);
    // Room may have come up while a page was handed out.
    this.pump();
  }

  accept(item: DeliveryItem): void {
    const isFirst = this.#lanes.add(item);
    const known = this.#knownRetries.take(item);
    if (known) item.attempts = known.attempts;
    if (!isFirst) return;
    if (known) {
      const { maxMs } = this.#options.subscription.delivery.backoff;
      this.#retryIn(item, this.#knownRetries.delayMs(known, maxMs));
      return;
    }
    this.#lanes.makeReady(item);
    this.pump();
  }

  settledApart(feed: Feed): void {
    this.#options.journal.moved(feed);
  }

  readingFailed(error: MeshError): void {
    this.#lastError = `reading: ${error.message}`;
  }

  /** Sends a dead letter's event again, out of order. The outcome of the one attempt decides. */
  redrive(stored: StoredEvent): Promise<DeliveryOutcome> {
    return new Promise((resolve) => {
      const place = { before: stored.position, index: 0 };
      const item = new DeliveryItem(this, stored, { place, key: "" });
      item.onRedriven = resolve;
      this.#redriven.add(item);
      this.#lanes.add(item);
      this.#lanes.makeReady(item);
      this.pump();
    });
  }

  /** Sends what may be sent now. */
  pump(): void {
    if (this.#isPumping) return;
    this.#isPumping = true;
    while (this.#state === "active" && this.#lanes.readyCount > 0 && this.#maySend()) {
      const item = this.#lanes.takeReady();
      if (item && !item.isSettled) this.#send(item);
    }
    this.#isPumping = false;
    if (this.#fullFeeds.size > 0) this.#relieve();
  }

  ended(item: DeliveryItem, outcome: DeliveryOutcome): void {
    this.#window.ended();
    if (outcome.kind !== "aborted") this.#note(item, outcome);
    if (item.onRedriven) this.#endRedriven(item, outcome);
    else this.#conclude(item, outcome);
    this.pump();
  }

  get maySendMade(): boolean {
    return this.#state === "active";
  }

  sends(): void {
    this.#window.ended();
    this.#window.started();
  }

  dropped(item: DeliveryItem): void {
    this.#window.ended();
    if (item.onRedriven) this.#endRedriven(item, { kind: "taken", status: "dropped" });
    else this.#finish(item, "filtered");
    this.pump();
  }

  unfit(item: DeliveryItem, failure: MeshError): void {
    this.#window.ended();
    const refused = { kind: "refused", status: "transform", detail: failure.message } as const;
    this.#lastError = `transform: ${failure.message}`;
    item.attemptStartMs = this.#options.clock.monotonicMs();
    if (!item.onRedriven) this.#addAttempt(item, refused);
    if (item.onRedriven) this.#endRedriven(item, refused);
    else this.#giveUp(item, unfitReason(failure));
    this.pump();
  }

  notSent(item: DeliveryItem): void {
    this.#window.ended();
    this.#lanes.makeReady(item);
    this.pump();
  }

  /** Reads and sends nothing new, waits for what is in flight until the deadline, then lets go of it. */
  async stop(deadline: AbortSignal): Promise<void> {
    this.#state = "stopping";
    await Promise.all([...this.feeds.values()].map((feed) => feed.stop()));
    for (const timer of this.#retryTimers.values()) timer.cancel();
    this.#window.stop();
    this.#transformed?.stop();
    await this.#window.idle(deadline);
    await this.target.stop();
    for (const item of [...this.#redriven]) this.#endRedriven(item, { kind: "aborted" });
  }

  #endRedriven(item: DeliveryItem, outcome: DeliveryOutcome): void {
    if (!this.#redriven.delete(item)) return;
    this.#lanes.release(item);
    item.onRedriven?.(outcome);
  }

  #maySend(): boolean {
    if (this.#transformed?.isFull === true) return false;
    return this.#options.journal.mayDeliver && this.#window.mayStart();
  }

  #send(item: DeliveryItem): void {
    if (!item.stored) {
      this.#loadParked(item);
      return;
    }
    const { clock } = this.#options;
    if (!item.isRedriven && isExpired(item.event, clock.wallMs())) {
      this.#finish(item, "expired");
      return;
    }
    if (this.#transformed) {
      this.#window.occupy();
      this.#transformed.deliver(item, item.stored);
      return;
    }
    item.attemptStartMs = clock.monotonicMs();
    this.#window.started();
    this.target.deliver(item);
  }

  #note(item: DeliveryItem, outcome: DeliveryOutcome): void {
    const { telemetry, clock } = this.#options;
    const status = "status" in outcome ? outcome.status : outcome.kind;
    telemetry.attempted(item.topic, status, clock.monotonicMs() - item.attemptStartMs);
    if (outcome.kind === "failed") {
      this.#window.breaker.onFailed();
      if (outcome.retryAfterMs !== undefined) this.#options.gate.close(outcome.retryAfterMs);
    } else this.#window.breaker.onAnswered();
    if (outcome.kind !== "taken")
      this.#lastError = "detail" in outcome ? `${status}: ${outcome.detail ?? ""}` : status;
    if (outcome.kind === "taken" && item.stored)
      telemetry.delivered(item.topic, clock.wallMs() - item.stored.entry.receivedMs);
  }

  #conclude(item: DeliveryItem, outcome: DeliveryOutcome): void {
    switch (outcome.kind) {
      case "taken": {
        this.#finish(item, "delivered");
        return;
      }
      case "failed": {
        this.#failed(item, outcome);
        return;
      }
      case "refused":
        this.#addAttempt(item, outcome);
        {
          this.#giveUp(item, `the target refused it: ${outcome.status}`);
          return;
        }
      case "retired":
        this.#state = "disabled";
        this.#lanes.makeReady(item);
        {
          this.#options.onRetired(`the target answered ${outcome.status}`);
          return;
        }
      case "aborted": {
        this.#lanes.makeReady(item);
        return;
      }
    }
  }

  #failed(item: DeliveryItem, outcome: Failure & { kind: "failed" }): void {
    const { delivery } = this.#options.subscription;
    this.#addAttempt(item, outcome);
    const count = item.attempts.length;
    if (count >= delivery.maxAttempts) {
      this.#giveUp(item, `${count} attempts failed, last ${outcome.status}`);
      return;
    }
    const ladderMs = retryDelayMs(delivery.backoff, count, this.#options.chance);
    const delayMs = Math.max(ladderMs, outcome.retryAfterMs ?? 0);
    const { subscription, topic, position, key, attempts } = item;
    const nextMs = this.#options.clock.wallMs() + delayMs;
    this.#options.journal.retry({ subscription, topic, position, key, attempts, nextMs });
    this.#moved(item);
    this.#retryIn(item, delayMs);
  }

  #addAttempt(item: DeliveryItem, { status, detail }: Failure): void {
    const { clock } = this.#options;
    const durationMs = Math.round(clock.monotonicMs() - item.attemptStartMs);
    const attempt = { atMs: Math.round(clock.wallMs()), durationMs, outcome: status, detail };
    item.attempts = [...item.attempts, attempt];
  }

  #retryIn(item: DeliveryItem, delayMs: number): void {
    this.#lanes.hold(item);
    const timer = this.#options.clock.setTimer(delayMs, () => {
      this.#retryTimers.delete(item);
      this.#lanes.makeReady(item);
      this.pump();
    });
    this.#retryTimers.set(item, timer);
  }

  #giveUp(item: DeliveryItem, reason: string): void {
    const { stored } = item;
    if (!stored) {
      this.#finish(item, "trimmed");
      return;
    }
    const { journal, clock, telemetry } = this.#options;
    journal.deadLetter(deadLetterOf(item, stored, { reason, atMs: clock.wallMs() }));
    telemetry.deadLettered(item.topic);
    this.#finish(item, "deadLettered");
  }

  /** One event is over, for good: cursor, record and lane move together. */
  #finish(item: DeliveryItem, settlement: Settlement): void {
    const { journal, clock } = this.#options;
    if (item.attempts.length > 0) journal.retryDone(item);
    if (isRecorded(settlement)) journal.record(recordOf(item, settlement, clock));
    item.feed?.settle(item, settlement);
    this.#moved(item);
    this.#lanes.release(item);
  }

  #moved(item: DeliveryItem): void {
    if (item.feed) this.#options.journal.moved(item.feed);
  }

  /** Lets full feeds read on when there is room worth a read; at the bound of events in hand the oldest may be given up. */
  #relieve(): void {
    const { bytesMax, inHandMax } = this.#options.bounds;
    if (this.#state !== "active" || this.isSated || this.#lanes.byteCount * 2 > bytesMax) return;
    for (const feed of [...this.#fullFeeds]) {
      if (feed.inHandCount >= inHandMax) this.#giveUpOldest(feed);
      if (feed.inHandCount * 10 > inHandMax * 9) continue;
      this.#fullFeeds.delete(feed);
      feed.roomMade();
    }
  }

  #giveUpOldest(feed: Feed): void {
    if (this.#options.subscription.delivery.whenBlocked !== "dead-letter") return;
    const oldest = feed.oldest;
    const timer = oldest instanceof DeliveryItem ? this.#retryTimers.get(oldest) : undefined;
    if (!timer || !(oldest instanceof DeliveryItem)) return;
    timer.cancel();
    this.#retryTimers.delete(oldest);
    this.#giveUp(oldest, "its key failed for so long that too many events waited behind it");
    // What waited behind it may go now; on a later turn, since the feeds are being looked through.
    this.#options.clock.setTimer(0, () => this.pump());
  }

  #loadParked(item: DeliveryItem): void {
    this.#window.occupy();
    const { store, clock } = this.#options;
    void loadParked(store, item)
      .then((found) => {
        if (typeof found === "string") {
          this.#finish(item, found);
          return;
        }
        item.load(found);
        this.#lanes.loaded(item);
        this.#lanes.makeReady(item);
      })
      .catch((error: unknown) => {
        this.readingFailed(MeshError.from(error));
        clock.setTimer(failedLoadMs, () => {
          this.#lanes.makeReady(item);
          this.pump();
        });
      })
      .finally(() => {
        this.#window.ended();
        this.pump();
      });
  }
}

const failedLoadMs = 250;
/** So many windows full are ready before a feed stops reading. */
const readAheadWindows = 4;
