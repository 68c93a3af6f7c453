import { MeshError, type Clock, type Logger } from "@fleetmesh/core";
import type { BridgeMetrics } from "./bridge-metrics.ts";
import type { PlannedLink } from "./link-plan.ts";
import type { Position, RegionLink } from "./region-link.ts";

export interface LinkAuditPorts {
  readonly from: RegionLink;
  readonly to: RegionLink;
  readonly metrics: BridgeMetrics;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly auditMs: number;
}

/** A moment between two appends: where the link is at the origin, and the end of the receiving topic. */
export interface LinkMark {
  readonly cursor: Position;
  readonly latest: Position;
}

/**
 * Compares what both ends of a link hold, range by range, from the stores and not from counters of the link's own: a
 * range of the origin's positions must hold as many events, with the same identities, as the stretch of the receiving
 * topic that grew meanwhile.
 */
export class LinkAudit {
  readonly #link: PlannedLink;
  readonly #ports: LinkAuditPorts;
  #mark: LinkMark | undefined;
  #dueMs: number;

  constructor(link: PlannedLink, ports: LinkAuditPorts) {
    this.#link = link;
    this.#ports = ports;
    this.#dueMs = ports.clock.monotonicMs() + ports.auditMs;
  }

  /** From here on. Call only while no append is under way; a range that is open already stays so. */
  begin(mark: LinkMark): void {
    this.#mark ??= mark;
  }

  /** The link lost its place: the range that was open cannot be compared. */
  forget(): void {
    this.#mark = undefined;
  }

  isDue(): boolean {
    return this.#ports.clock.monotonicMs() >= this.#dueMs;
  }

  /** Call only while no append is under way. A range that retention has cut meanwhile cannot be judged and is let go. */
  async check(signal: AbortSignal): Promise<void> {
    const { to, clock, auditMs } = this.#ports;
    this.#dueMs = clock.monotonicMs() + auditMs;
    const { from: origin, topic } = this.#link;
    const { cursor, latest } = await to.cursor(origin, topic, signal);
    const before = this.#mark;
    this.#mark = cursor === undefined ? undefined : { cursor, latest };
    if (before === undefined || cursor === undefined || before.cursor === cursor) return;
    try {
      await this.#compare(before, { cursor, latest }, signal);
    } catch (error) {
      const isCut =
        MeshError.is(error, "POSITION_TRIMMED") || MeshError.is(error, "POSITION_INVALID");
      if (!isCut) throw error;
    }
  }

  async #compare(before: LinkMark, after: LinkMark, signal: AbortSignal): Promise<void> {
    const { from, to, metrics, logger } = this.#ports;
    const { from: origin, to: region, topic } = this.#link;
    const [sent, received] = await Promise.all([
      from.seal({ topic, origin, to: region, after: before.cursor, until: after.cursor }, signal),
      to.seal({ topic, origin, after: before.latest, until: after.latest }, signal),
    ]);
    if (!sent.isWhole || !received.isWhole) return;
    const labels = { region: origin, to: region, topic };
    metrics.auditChecked.inc(labels, sent.count);
    // An alert needs the number that says "none missing" too.
    metrics.auditMissing.inc(labels, 0);
    if (sent.count === received.count && sent.digest === received.digest) return;
    metrics.auditMissing.inc(labels, Math.max(1, sent.count - received.count));
    logger.error(
      { ...labels, sent: sent.count, received: received.count, after: before.cursor },
      "Audit: the two ends of a link differ.",
    );
  }
}
