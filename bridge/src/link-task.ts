import { reconnect } from "./reconnect.ts";
import { MeshError, sleep, type Chance, type Clock, type Logger, Backoff } from "@fleetmesh/core";
import type { BridgeMetrics } from "./bridge-metrics.ts";
import { LinkAudit } from "./link-audit.ts";
import type { PlannedLink } from "./link-plan.ts";
import type { LinkStatus } from "./link-status.ts";
import { startPosition } from "./link-start.ts";
import type { LinkPage, Position, RegionLink } from "./region-link.ts";

export interface LinkTaskPorts {
  readonly from: RegionLink;
  readonly to: RegionLink;
  readonly metrics: BridgeMetrics;
  readonly clock: Clock;
  readonly chance: Chance;
  readonly logger: Logger;
  readonly pageEvents: number;
  readonly pollMs: number;
  readonly auditMs: number;
}

/** The cursor also moves over events that are not the link's, but not for each of them. */
const idleMoveMs = 30_000;

/**
 * One topic on its way from one region to another, for as long as it is wanted. All state is the receiver's cursor, so a
 * link may be stopped hard at any moment and go on anywhere: what was appended is behind the cursor, what was not is before it.
 */
export class LinkTask {
  readonly #link: PlannedLink;
  readonly #ports: LinkTaskPorts;
  readonly #labels: { region: string; to: string; topic: string };
  readonly #stopping = new AbortController();
  readonly #backoff: Backoff;
  readonly #audit: LinkAudit;
  #running: Promise<void> = Promise.resolve();
  #downSinceMs: number | undefined;
  #hasMoved = false;
  #lagMs = 0;

  constructor(link: PlannedLink, ports: LinkTaskPorts) {
    this.#link = link;
    this.#ports = ports;
    this.#labels = { region: link.from, to: link.to, topic: link.topic };
    this.#backoff = new Backoff(reconnect, ports.chance);
    this.#audit = new LinkAudit(link, ports);
  }

  start(): void {
    this.#running = this.#run();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
    this.#ports.metrics.lag.remove(this.#labels);
    this.#ports.metrics.isUp.remove(this.#labels);
  }

  /** For the scrape. */
  observe(): void {
    const { metrics } = this.#ports;
    metrics.isUp.set(this.#labels, this.#downSinceMs === undefined ? 1 : 0);
    metrics.lag.set(this.#labels, this.#lagSeconds());
  }

  status(): LinkStatus {
    const { from, to, topic } = this.#link;
    const isUp = this.#hasMoved && this.#downSinceMs === undefined;
    const state = isUp ? "up" : this.#hasMoved ? "waiting" : "starting";
    return { from, to, topic, kind: "embedded", state, lagSeconds: this.#lagSeconds() };
  }

  #lagSeconds(): number {
    const { clock } = this.#ports;
    const downMs = this.#downSinceMs === undefined ? 0 : clock.monotonicMs() - this.#downSinceMs;
    return (this.#lagMs + downMs) / 1_000;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      try {
        await new LinkSession(this.#link, this.#ports, this.#audit).run(signal, (page) =>
          this.#onMoved(page),
        );
      } catch (thrown) {
        if (!this.#isStopping()) await this.#rest(MeshError.from(thrown));
      }
    }
  }

  #isStopping(): boolean {
    return this.#stopping.signal.aborted;
  }

  #onMoved(page: LinkPage): void {
    this.#hasMoved = true;
    if (this.#downSinceMs !== undefined) {
      this.#ports.logger.info(this.#labels, "Link works again.");
      this.#downSinceMs = undefined;
    }
    this.#backoff.reset();
    this.#lagMs = page.hasMore ? Math.max(0, page.nowMs - page.newestMs) : 0;
    const { forwarded, withheld } = this.#ports.metrics;
    if (page.count > 0) forwarded.inc(this.#labels, page.count);
    if (page.withheld > 0) withheld.inc(this.#labels, page.withheld);
  }

  async #rest(error: MeshError): Promise<void> {
    const { clock, logger } = this.#ports;
    // The cursor is read again at the start of the next session; only when that does not help it is worth a wait.
    const isCursorOnly = error.kind === "LINK_BEHIND" && this.#backoff.failures === 0;
    const delayMs = this.#backoff.next();
    if (this.#downSinceMs === undefined && !isCursorOnly) {
      this.#downSinceMs = clock.monotonicMs();
      const facts = { ...this.#labels, code: error.code, reason: error.message };
      logger.warn(facts, "Link waits for its regions.");
    }
    if (!isCursorOnly) await sleep(clock, delayMs, this.#stopping.signal);
  }
}

/** From reading the cursor to the first failure: reads one page ahead of the append that is under way. */
class LinkSession {
  readonly #link: PlannedLink;
  readonly #ports: LinkTaskPorts;
  readonly #audit: LinkAudit;
  #cursor: Position | undefined;
  #movedMs: number;

  constructor(link: PlannedLink, ports: LinkTaskPorts, audit: LinkAudit) {
    this.#link = link;
    this.#ports = ports;
    this.#audit = audit;
    this.#movedMs = ports.clock.monotonicMs();
  }

  async run(stopping: AbortSignal, onMoved: (page: LinkPage) => void): Promise<void> {
    const failing = new AbortController();
    const onStopping = (): void => failing.abort();
    stopping.addEventListener("abort", onStopping, { once: true });
    if (stopping.aborted) failing.abort();
    let appending: Promise<void> = Promise.resolve();
    try {
      let position = await this.#begin(failing.signal);
      let waitMs = 0;
      for (;;) {
        const page = await this.#read(position, waitMs, failing.signal);
        await appending;
        position = page.next;
        if (this.#isWorth(page)) {
          appending = this.#append(page, failing.signal).then(() => onMoved(page));
          // A failed append must not wait for the question for news that runs beside it.
          appending.catch(() => failing.abort());
        } else onMoved(page);
        if (!page.hasMore && this.#audit.isDue()) {
          await appending;
          await this.#audit.check(failing.signal);
        }
        waitMs = page.hasMore ? 0 : this.#waitMs();
      }
    } catch (error) {
      // The append's failure is the cause when there is one; the aborted reading only follows from it.
      failing.abort();
      await appending;
      throw error;
    } finally {
      stopping.removeEventListener("abort", onStopping);
    }
  }

  async #begin(signal: AbortSignal): Promise<Position> {
    const { from, to, clock } = this.#ports;
    const known = await to.cursor(this.#link.from, this.#link.topic, signal);
    this.#cursor = known.cursor;
    const start = { from, to, clock };
    const position = known.cursor ?? (await startPosition(this.#link, start, signal));
    this.#audit.begin({ cursor: position, latest: known.latest });
    return position;
  }

  async #read(after: Position, waitMs: number, signal: AbortSignal): Promise<LinkPage> {
    const { from, pageEvents, metrics, logger } = this.#ports;
    const { topic, to } = this.#link;
    const request = { topic, to, after, countMax: pageEvents, waitMs };
    try {
      return await from.read(request, signal);
    } catch (error) {
      // Kept too short, or the origin began anew with an empty store: what is gone is gone, counted, and the rest goes on.
      const isGone =
        MeshError.is(error, "POSITION_TRIMMED") || MeshError.is(error, "POSITION_INVALID");
      if (!isGone) throw error;
      const labels = { region: this.#link.from, to: this.#link.to, topic };
      metrics.skipped.inc(labels);
      this.#audit.forget();
      logger.error(
        { ...labels, after, code: error.code },
        "Link lost its place; goes on from the earliest kept.",
      );
      return from.read({ ...request, after: "earliest", waitMs: 0 }, signal);
    }
  }

  /** The first page is appended even when it is empty: it makes the start position durable. */
  #isWorth(page: LinkPage): boolean {
    if (page.count > 0 || this.#cursor === undefined) return true;
    if (page.next === this.#cursor) return false;
    return this.#ports.clock.monotonicMs() - this.#movedMs > idleMoveMs;
  }

  async #append(page: LinkPage, signal: AbortSignal): Promise<void> {
    const { from: origin, topic } = this.#link;
    const before = this.#cursor;
    // Set before it is stored: the next page is read meanwhile, and appended only after this one.
    this.#cursor = page.next;
    await this.#ports.to.append({ topic, origin, before, page: page.bytes }, signal);
    this.#movedMs = this.#ports.clock.monotonicMs();
  }

  #waitMs(): number {
    const { pollMs, auditMs } = this.#ports;
    return Math.min(pollMs, auditMs);
  }
}
