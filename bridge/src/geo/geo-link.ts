import type { Clock } from "@fleetmesh/core";
import type { MessageId, Replicator } from "@fleetmesh/pulsar";
import type { BridgeMetrics } from "../bridge-metrics.ts";
import type { LinkStatus } from "../link-status.ts";
import type { PlannedLink } from "../link-plan.ts";

/**
 * One topic that Pulsar brings from one region to another, as it was last seen: `starting` until it is set, `up` while the
 * brokers are connected, `waiting` while something is in the way, `ending` when nobody wants it any more.
 */
export class GeoLink {
  readonly link: PlannedLink;
  readonly cluster: string;
  /** The last message that is known to be there. */
  place: MessageId | undefined;
  isSet = false;
  unwantedSinceMs: number | undefined;
  readonly #clock: Clock;
  readonly #metrics: BridgeMetrics;
  readonly #labels: { region: string; to: string; topic: string };
  #reason: string | undefined;
  #isConnected = false;
  #backlog = 0;
  #lagMs = 0;
  /** When the lag was measured: what is not connected falls behind further. */
  #seenMs: number;

  constructor(
    link: PlannedLink,
    cluster: string,
    ports: { readonly clock: Clock; readonly metrics: BridgeMetrics },
  ) {
    this.link = link;
    this.cluster = cluster;
    this.#clock = ports.clock;
    this.#metrics = ports.metrics;
    this.#labels = { region: link.from, to: link.to, topic: link.topic };
    this.#seenMs = ports.clock.monotonicMs();
  }

  seen({ isConnected, backlog, place }: Replicator, lagMs: number): void {
    this.place = place ?? this.place;
    this.#isConnected = isConnected;
    this.#backlog = backlog;
    this.#lagMs = lagMs;
    this.#seenMs = this.#clock.monotonicMs();
    this.#reason = undefined;
  }

  failed(reason: string): void {
    this.#reason = reason;
  }

  status(): LinkStatus {
    const { from, to, topic } = this.link;
    const status = { from, to, topic, kind: "pulsar", state: this.#state() } as const;
    const ageSeconds = (this.#clock.monotonicMs() - this.#seenMs) / 1_000;
    const seen = this.isSet ? { backlog: this.#backlog, ageSeconds } : {};
    const figures = { lagSeconds: this.#lagNowMs() / 1_000, ...seen };
    const isCut = this.isSet && !this.#isConnected;
    const reason =
      this.#reason ?? (isCut ? "The brokers are not connected to each other" : undefined);
    return { ...status, ...figures, ...(reason !== undefined && { reason }) };
  }

  /** For the scrape. */
  observe(): void {
    this.#metrics.lag.set(this.#labels, this.#lagNowMs() / 1_000);
    this.#metrics.backlog.set(this.#labels, this.#backlog);
    this.#metrics.isUp.set(this.#labels, this.#isUp() ? 1 : 0);
  }

  remove(): void {
    const { lag, backlog, isUp } = this.#metrics;
    for (const gauge of [lag, backlog, isUp]) gauge.remove(this.#labels);
  }

  #isUp(): boolean {
    return this.isSet && this.#isConnected && this.#reason === undefined;
  }

  #state(): LinkStatus["state"] {
    if (this.unwantedSinceMs !== undefined) return "ending";
    if (this.#isUp()) return "up";
    return this.isSet || this.#reason !== undefined ? "waiting" : "starting";
  }

  /** What is connected and has nothing to bring is not behind, however long ago it was looked at. */
  #lagNowMs(): number {
    const sinceMs = this.#clock.monotonicMs() - this.#seenMs;
    return this.#isUp() ? this.#lagMs : this.#lagMs + sinceMs;
  }
}
