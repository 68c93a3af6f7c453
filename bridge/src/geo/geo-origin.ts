import { isTopic, MeshError } from "@fleetmesh/core";
import type { PlannedLink } from "../link-plan.ts";
import type { LinkStatus } from "../link-status.ts";
import { Rounds } from "../rounds.ts";
import { GeoLink } from "./geo-link.ts";
import type { GeoPorts } from "./geo-ports.ts";
import type { GeoRegion } from "./geo-region.ts";
import { GeoTopic } from "./geo-topic.ts";

/** All topics of the cluster are looked at so often; those of wanted links in each round. */
const roundsPerSurvey = 10;

/**
 * Replication out of one region's cluster: compares what is wanted with what is set, topic by topic, and corrects it. Everything
 * it must know after a restart is in Pulsar: the clusters of a topic, the places of its replicators, the notes of those that ended.
 */
export class GeoOrigin {
  readonly #region: GeoRegion;
  readonly #ports: GeoPorts;
  readonly #rounds: Rounds;
  /** By topic and cluster. */
  readonly #links = new Map<string, Map<string, GeoLink>>();
  readonly #introduced = new Set<string>();
  /** Regions that leave, and of which a whole round has found nothing any more. */
  #gone: ReadonlySet<string> = new Set();
  #hasNamespace = false;
  #count = 0;

  constructor(region: GeoRegion, ports: GeoPorts) {
    this.#region = region;
    this.#ports = ports;
    const { clock, chance, reconcileMs, logger } = ports;
    const facts = { region: region.region };
    const onFailing = ({ code, message }: MeshError): void =>
      logger.warn({ ...facts, code, reason: message }, "Replication is not yet as it is wanted.");
    const onRecovered = (): void => logger.info(facts, "Replication is as it is wanted.");
    const options = { clock, chance, periodMs: reconcileMs, onFailing, onRecovered };
    this.#rounds = new Rounds(options, (signal) => this.#round(signal));
  }

  start(): void {
    this.#rounds.start();
  }

  async stop(): Promise<void> {
    await this.#rounds.stop();
    for (const link of this.#all()) link.remove();
    this.#links.clear();
  }

  /** What is wanted from here on. */
  want(wanted: readonly { readonly link: PlannedLink; readonly cluster: string }[]): void {
    const keys = new Set<string>();
    for (const { link, cluster } of wanted) {
      keys.add(`${link.topic}\n${cluster}`);
      this.#linkTo(link, cluster).unwantedSinceMs = undefined;
    }
    const nowMs = this.#ports.clock.monotonicMs();
    for (const link of this.#all())
      if (!keys.has(`${link.link.topic}\n${link.cluster}`)) link.unwantedSinceMs ??= nowMs;
    this.#rounds.wake();
  }

  /** True when a whole round since the region began to leave has found nothing from or to it. */
  isFreeOf(region: string): boolean {
    return this.#gone.has(region);
  }

  links(): LinkStatus[] {
    return this.#all().map((link) => link.status());
  }

  observe(): void {
    for (const link of this.#all()) link.observe();
  }

  async #round(signal: AbortSignal): Promise<void> {
    const regions = this.#ports.regions();
    const leaving = regions.map(({ region }) => region).filter(this.#ports.isLeaving);
    // One that came back in between and leaves again is looked for again.
    this.#gone = new Set([...this.#gone].filter((region) => leaving.includes(region)));
    const isSurvey =
      this.#count % roundsPerSurvey === 0 || leaving.some((region) => !this.#gone.has(region));
    await this.#ensureHome();
    if (isSurvey) await this.#survey();
    let failure: MeshError | undefined;
    for (const topic of [...this.#links.keys()]) {
      if (signal.aborted) return;
      failure = (await this.#tryTopic(topic, signal)) ?? failure;
    }
    if (failure) throw failure;
    this.#count += 1;
    if (isSurvey) this.#gone = new Set(leaving.filter((region) => !this.#has(region)));
  }

  /** The clusters know each other, and topics stay at home unless they are told otherwise. */
  async #ensureHome(): Promise<void> {
    const { region, cluster, replication } = this.#region;
    const { logger, metrics, isLeaving } = this.#ports;
    if (!this.#hasNamespace) await this.#region.ensureNamespace();
    const others = this.#others().filter((other) => !isLeaving(other.region));
    for (const other of others) {
      const isNew = await replication.ensureCluster(other.cluster, await other.address());
      if (isNew && this.#introduced.has(other.region)) {
        metrics.drift.inc({ region, to: other.region, topic: "" });
        logger.warn(
          { region, to: other.region },
          "A cluster's address was changed; it is set again.",
        );
      } else if (isNew) logger.info({ region, to: other.region }, "A cluster is introduced.");
      this.#introduced.add(other.region);
    }
    const isSet = await replication.ensureHome(
      cluster,
      others.map((other) => other.cluster),
    );
    if (isSet && this.#hasNamespace) logger.info({ region }, "The tenant's clusters are set.");
    this.#hasNamespace = true;
  }

  /**
   * Finds what is set, or prepared, and nobody wants: left by a bridge before, or by hand. The mesh's own topics are the regions' to set; from and
   * to one that leaves they are taken away with the others.
   */
  async #survey(): Promise<void> {
    const { region: from, replication } = this.#region;
    const { isLeaving, clock } = this.#ports;
    for (const topic of await this.#region.topics()) {
      const prepared = (await replication.replicators(topic)).map(({ cluster }) => cluster);
      const set = [...(await replication.clusters(topic)), ...prepared];
      for (const { region: to, cluster } of this.#others()) {
        if (!set.includes(cluster) || this.#links.get(topic)?.has(cluster) === true) continue;
        if (!isTopic(topic) && !isLeaving(from) && !isLeaving(to)) continue;
        const link = this.#linkTo({ from, to, topic, sinceMs: undefined }, cluster);
        link.unwantedSinceMs = clock.monotonicMs();
      }
    }
  }

  /** The failure of one topic does not keep the others waiting; that of the cluster itself ends the round. */
  async #tryTopic(topic: string, signal: AbortSignal): Promise<MeshError | undefined> {
    const links = this.#links.get(topic) ?? new Map<string, GeoLink>();
    const clusters = new Set(this.#others().map(({ cluster }) => cluster));
    try {
      const of = { topic, origin: this.#region, links, clusters };
      await new GeoTopic(of, this.#ports).reconcile(signal);
      if (links.size === 0) this.#links.delete(topic);
      return undefined;
    } catch (thrown) {
      const error = MeshError.from(thrown);
      if (error.kind === "TOPIC_UNKNOWN") return this.#make(topic, links, signal);
      if (error.kind.startsWith("PULSAR_"))
        for (const link of links.values()) link.failed(error.message);
      if (isClusterAway(error)) throw error;
      return error;
    }
  }

  /** Nothing was published to it yet: its region makes it, so that the first event finds it set. */
  async #make(
    topic: string,
    links: Map<string, GeoLink>,
    signal: AbortSignal,
  ): Promise<MeshError | undefined> {
    const isWanted = [...links.values()].some((link) => link.unwantedSinceMs === undefined);
    if (!isWanted) {
      for (const link of links.values()) link.remove();
      this.#links.delete(topic);
      return undefined;
    }
    try {
      await this.#ports.linkOf(this.#region.region)?.admit(topic, signal);
      this.#rounds.wake();
      return undefined;
    } catch (thrown) {
      const error = MeshError.from(thrown);
      for (const link of links.values()) link.failed(error.message);
      return error;
    }
  }

  #linkTo(planned: PlannedLink, cluster: string): GeoLink {
    const { topic } = planned;
    const links = this.#links.get(topic) ?? new Map<string, GeoLink>();
    this.#links.set(topic, links);
    const link = links.get(cluster) ?? new GeoLink(planned, cluster, this.#ports);
    links.set(cluster, link);
    return link;
  }

  #others(): GeoRegion[] {
    return this.#ports.regions().filter(({ region }) => region !== this.#region.region);
  }

  #all(): GeoLink[] {
    return [...this.#links.values()].flatMap((links) => [...links.values()]);
  }

  #has(region: string): boolean {
    return this.#all().some(({ link: { from, to } }) => from === region || to === region);
  }
}

/** Not one refused call, but nothing that could be asked now. */
function isClusterAway({ kind, details }: MeshError): boolean {
  if (kind === "PULSAR_DENIED" || kind === "PULSAR_TOKEN_EXPIRED") return true;
  return kind === "PULSAR_UNAVAILABLE" && details["pulsarStatus"] === undefined;
}
