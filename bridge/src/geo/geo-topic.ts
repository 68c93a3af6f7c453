import { MeshError } from "@fleetmesh/core";
import { formatMessageId } from "@fleetmesh/pulsar";
import type { GeoLink } from "./geo-link.ts";
import type { GeoPorts } from "./geo-ports.ts";
import type { GeoRegion } from "./geo-region.ts";
import { geoStart, leftNote } from "./geo-start.ts";

export interface GeoTopicOf {
  readonly topic: string;
  readonly origin: GeoRegion;
  /** By cluster; those that end are taken out. */
  readonly links: Map<string, GeoLink>;
  /** Clusters of the mesh's other regions: what else is set on a topic is not ours to change. */
  readonly clusters: ReadonlySet<string>;
}

/**
 * One topic of one origin: what is wanted against what is set, then what was seen. Every step may be the last before a crash: a
 * replicator is prepared before its cluster is set, and its place is noted before it is taken away.
 */
export class GeoTopic {
  readonly #of: GeoTopicOf;
  readonly #ports: GeoPorts;
  /** Of the links that could not be set now, the last. */
  #failure: MeshError | undefined;

  constructor(of: GeoTopicOf, ports: GeoPorts) {
    this.#of = of;
    this.#ports = ports;
  }

  /** Throws what kept a link from being set, after everything else was done. */
  async reconcile(signal: AbortSignal): Promise<void> {
    const { topic, origin, links, clusters } = this.#of;
    const found = await origin.replication.clusters(topic);
    const ending = [...links.values()].filter((link) => this.#isOver(link));
    const wanted: string[] = [];
    const prepared: GeoLink[] = [];
    for (const [cluster, link] of links) {
      if (ending.includes(link)) continue;
      if (found.includes(cluster)) wanted.push(cluster);
      else if (await this.#prepare(link, signal)) {
        wanted.push(cluster);
        prepared.push(link);
      }
    }
    const others = found.filter((cluster) => cluster !== origin.cluster && !clusters.has(cluster));
    await this.#note(ending);
    const target = [origin.cluster, ...others, ...wanted];
    await this.#set(found, target);
    for (const link of prepared) await this.#confirm(link, target);
    for (const link of ending) await this.#end(link);
    await this.#look(wanted);
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Nobody wants it, for longer than the grace, and everybody has been asked; or one of its ends leaves. */
  #isOver({ link: { from, to }, unwantedSinceMs }: GeoLink): boolean {
    const { isLeaving, isKnown, clock, graceMs } = this.#ports;
    if (isLeaving(from) || isLeaving(to)) return true;
    if (unwantedSinceMs === undefined || !isKnown(from) || !isKnown(to)) return false;
    return clock.monotonicMs() - unwantedSinceMs >= graceMs;
  }

  /** True when its cluster may be set. The other links of the topic do not wait for what is in its way. */
  async #prepare(link: GeoLink, signal: AbortSignal): Promise<boolean> {
    const { origin, topic } = this.#of;
    const { linkOf, clock } = this.#ports;
    if (link.unwantedSinceMs !== undefined) return false;
    try {
      const start = await geoStart(link, { origin, linkOf, clock }, signal);
      await origin.replication.prepare(topic, link.cluster, start);
      this.#tell(link, start === "earliest" ? start : formatMessageId(start));
      return true;
    } catch (error) {
      if (MeshError.is(error, "TOPIC_UNKNOWN")) throw error;
      this.#failure = MeshError.from(error);
      link.failed(this.#failure.message);
      return false;
    }
  }

  #tell(link: GeoLink, start: string): void {
    const { logger, metrics } = this.#ports;
    const { from, to, topic } = link.link;
    const facts = { from, to, topic, start };
    if (link.isSet) {
      metrics.drift.inc({ region: from, to, topic });
      logger.warn(facts, "Somebody took a topic's replication away; it is set again.");
    } else logger.info(facts, "Replication of a topic is set.");
  }

  /** For whoever wants it again: it goes on there. */
  async #note(ending: readonly GeoLink[]): Promise<void> {
    if (ending.length === 0) return;
    const { topic, origin } = this.#of;
    const replicators = await origin.replication.replicators(topic);
    for (const link of ending) {
      const { cluster } = link;
      const place = replicators.find((each) => each.cluster === cluster)?.place ?? link.place;
      if (place === undefined) continue;
      link.place = place;
      await origin.replication.setNote(topic, leftNote(cluster), formatMessageId(place));
    }
  }

  async #set(found: readonly string[], wanted: readonly string[]): Promise<void> {
    const { topic, origin } = this.#of;
    // Nothing set on the topic is the same as the own cluster alone.
    const now = new Set([origin.cluster, ...found]);
    if (now.size === wanted.length && wanted.every((cluster) => now.has(cluster))) return;
    await origin.replication.setClusters(topic, wanted.length === 1 ? [] : wanted);
  }

  /** A replicator that may have lost its place begins again: what comes twice is known, what does not come is not. */
  async #confirm(link: GeoLink, set: readonly string[]): Promise<void> {
    const { topic, origin } = this.#of;
    const { cluster } = link;
    if (await origin.replication.isHeld(topic, cluster)) return;
    const rest = set.filter((each) => each !== cluster);
    await this.#set(set, rest);
    await origin.replication.forget(topic, cluster);
    throw new MeshError(
      "PULSAR_UNAVAILABLE",
      `Pulsar loaded "${topic}" anew while its replication to ${cluster} was set; it is set again`,
      // The cluster answers: its other topics do not wait.
      { details: { pulsarStatus: 200 } },
    );
  }

  async #end(link: GeoLink): Promise<void> {
    const { topic, origin, links } = this.#of;
    await origin.replication.forget(topic, link.cluster);
    link.isSet = false;
    // Wanted again meanwhile, it is set by the next round.
    if (link.unwantedSinceMs === undefined) return;
    links.delete(link.cluster);
    link.remove();
    const { from, to } = link.link;
    this.#ports.logger.info({ from, to, topic }, "Replication of a topic is withdrawn.");
  }

  async #look(wanted: readonly string[]): Promise<void> {
    const { topic, origin, links } = this.#of;
    if (wanted.length === 0) return;
    for (const replicator of await origin.replication.replicators(topic)) {
      const { cluster, backlog } = replicator;
      const link = links.get(cluster);
      if (link === undefined || !wanted.includes(cluster)) continue;
      link.isSet = true;
      link.seen(replicator, backlog > 0 ? await origin.replication.lagMs(topic, cluster) : 0);
    }
  }
}
