import type { Chance, Clock, Logger, Part } from "@fleetmesh/core";
import { Registry } from "prom-client";
import type { BridgeConfig } from "./bridge-config.ts";
import { createBridgeMetrics, type BridgeMetrics } from "./bridge-metrics.ts";
import { GeoMesh } from "./geo/geo-mesh.ts";
import { openGeoRegion } from "./geo/geo-region.ts";
import { HttpRegionLink } from "./http-region-link.ts";
import { linkKey, planLinks, type PlannedLink } from "./link-plan.ts";
import type { LinkStatus } from "./link-status.ts";
import { LinkTask } from "./link-task.ts";
import type { RegionConfig } from "./region-config.ts";
import type { RegionLink, RegionState } from "./region-link.ts";
import type { RegionStatus } from "./region-status.ts";
import { RegionWatch } from "./region-watch.ts";
import { RegionsFolder } from "./regions-folder.ts";
import { Rounds } from "./rounds.ts";
import { StatusServer } from "./status-server.ts";

export interface BridgePorts {
  readonly clock: Clock;
  readonly chance: Chance;
  readonly logger: Logger;
  /** A registry to count in; its own when left out. */
  readonly registry?: Registry;
}

interface Member {
  readonly config: RegionConfig;
  readonly link: RegionLink;
  readonly watch: RegionWatch;
}

/** How soon a change in the folder of regions is seen. */
const folderMs = 1_000;

/**
 * The links between all regions: full mesh, without transit. Watches each region's wishes and has each topic brought that another
 * region's subscriptions want or a policy lists: by Pulsar between regions that have one, over HTTP between all others. Holds no
 * state that a restart would miss.
 */
export class Bridge implements Part {
  readonly name = "bridge";
  readonly registry: Registry;
  readonly #config: BridgeConfig;
  readonly #ports: BridgePorts;
  readonly #metrics: BridgeMetrics;
  readonly #members = new Map<string, Member>();
  readonly #states = new Map<string, RegionState>();
  readonly #tasks = new Map<string, { readonly link: PlannedLink; readonly task: LinkTask }>();
  readonly #ending = new Set<Promise<void>>();
  readonly #folder: RegionsFolder | undefined;
  readonly #geo: GeoMesh;
  #folderRounds: Rounds | undefined;
  #server: StatusServer | undefined;

  constructor(config: BridgeConfig, ports: BridgePorts) {
    this.#config = config;
    this.#ports = ports;
    this.registry = ports.registry ?? new Registry();
    this.#metrics = createBridgeMetrics(this.registry, () => this.#observe());
    this.#folder =
      config.regionsDir === undefined ? undefined : new RegionsFolder(config.regionsDir);
    const { reconcileMs, graceMs } = config;
    this.#geo = new GeoMesh({
      ...ports,
      ...{ metrics: this.#metrics, reconcileMs, graceMs },
      linkOf: (region) => this.#members.get(region)?.link,
      isKnown: (region) => this.#states.has(region),
      isLeaving: (region) => this.#members.get(region)?.config.leaving === true,
    });
  }

  async start(): Promise<void> {
    if (this.#folderRounds !== undefined) return;
    const { clock, chance, logger } = this.#ports;
    if (this.#config.http !== undefined) {
      this.#server = new StatusServer(this.#config.http, {
        registry: this.registry,
        links: () => this.links(),
        regions: () => this.regions(),
      });
      await this.#server.start();
    }
    await this.#folder?.read(this.#config.regions);
    await this.#apply();
    const onFailing = (error: Error): void => logger.warn({ err: error }, "Regions are not read.");
    const options = { clock, chance, periodMs: folderMs, onFailing };
    this.#folderRounds = new Rounds(options, () => this.#lookAtFolder());
    this.#folderRounds.start();
  }

  async stop(): Promise<void> {
    await this.#folderRounds?.stop();
    this.#folderRounds = undefined;
    await Promise.all([...this.#members.keys()].map((name) => this.#remove(name)));
    await Promise.all([...this.#ending, this.#geo.stop()]);
    await this.#server?.stop();
    this.#server = undefined;
  }

  /** The port of the status server; 0 without. */
  get port(): number {
    return this.#server?.port ?? 0;
  }

  links(): LinkStatus[] {
    const embedded = [...this.#tasks.values()].map(({ task }) => task.status());
    return [...embedded, ...this.#geo.links()];
  }

  regions(): RegionStatus[] {
    const files = this.#folder?.files ?? [];
    const regions = [...this.#members.values()].map(({ config, watch }): RegionStatus => {
      const { name } = config;
      const file = files.find(({ region }) => region?.name === name);
      const known = { name, ...(file && { digest: file.digest }) };
      if (file?.problem !== undefined) return { ...known, state: "invalid", reason: file.problem };
      if (config.leaving) return { ...known, state: this.#hasLeft(name) ? "left" : "leaving" };
      if (watch.failure === undefined) return { ...known, state: "joined" };
      return { ...known, state: "waiting", reason: watch.failure };
    });
    const invalid = files.flatMap(({ file, digest, region, problem }): RegionStatus[] =>
      region === undefined ? [{ name: file, digest, state: "invalid", reason: problem ?? "" }] : [],
    );
    return [...regions, ...invalid];
  }

  #observe(): void {
    for (const { task } of this.#tasks.values()) task.observe();
    this.#geo.observe();
  }

  #hasLeft(name: string): boolean {
    const isLinked = [...this.#tasks.values()].some(
      ({ link: { from, to } }) => from === name || to === name,
    );
    return !isLinked && (!this.#geo.has(name) || this.#geo.isFreeOf(name));
  }

  async #lookAtFolder(): Promise<void> {
    const isChanged = (await this.#folder?.read(this.#config.regions)) ?? false;
    if (!isChanged) return;
    for (const { file, problem } of this.#folder?.files ?? [])
      if (problem !== undefined)
        this.#ports.logger.error({ file, problem }, "A region's file is not valid.");
    await this.#apply();
  }

  /** The regions are those of the configuration and of the folder, from here on. */
  async #apply(): Promise<void> {
    const files = this.#folder?.files ?? [];
    const wanted = new Map(
      [...this.#config.regions, ...files.flatMap(({ region }) => region ?? [])].map((region) => [
        region.name,
        region,
      ]),
    );
    for (const [name, { config }] of this.#members) {
      const next = wanted.get(name);
      if (next === undefined || !isSameWay(config, next)) await this.#remove(name);
    }
    for (const config of wanted.values()) {
      const member = this.#members.get(config.name);
      if (member === undefined) this.#add(config);
      else this.#members.set(config.name, { ...member, config });
    }
    this.#replan();
  }

  #add(config: RegionConfig): void {
    const { clock, chance, logger } = this.#ports;
    const link = new HttpRegionLink(config);
    const onState = (state: RegionState): void => {
      this.#states.set(config.name, state);
      this.#replan();
    };
    const { pollMs } = this.#config;
    const watch = new RegionWatch({ link, clock, chance, logger, pollMs, onState });
    this.#members.set(config.name, { config, link, watch });
    if (config.pulsar) this.#geo.add(openGeoRegion(config.name, config.pulsar, clock), link);
    logger.info({ region: config.name }, "A region is of the mesh.");
    watch.start();
  }

  async #remove(name: string): Promise<void> {
    const member = this.#members.get(name);
    this.#members.delete(name);
    this.#states.delete(name);
    for (const { link } of this.#tasks.values())
      if (link.from === name || link.to === name) this.#close(link);
    await Promise.all([member?.watch.stop(), this.#geo.remove(name), ...this.#ending]);
    await member?.link.close();
  }

  #replan(): void {
    const present = [...this.#states].filter(
      ([name]) => this.#members.get(name)?.config.leaving === false,
    );
    const wanted = planLinks(new Map(present), this.#config.topics);
    for (const [key, { from }] of wanted)
      if (this.#members.get(from)?.config.receiveOnly === true) wanted.delete(key);
    const isGeo = ({ from, to }: PlannedLink): boolean => this.#geo.has(from) && this.#geo.has(to);
    for (const { link } of this.#tasks.values())
      if (!wanted.has(linkKey(link)) || isGeo(link)) this.#close(link);
    const links = [...wanted.values()];
    for (const link of links) if (!isGeo(link)) this.#open(link);
    this.#geo.want(links.filter(isGeo));
  }

  #close(link: PlannedLink): void {
    const task = this.#tasks.get(linkKey(link))?.task;
    if (task === undefined) return;
    this.#tasks.delete(linkKey(link));
    this.#ports.logger.info(link, "Link is no longer wanted.");
    const ended = task.stop();
    this.#ending.add(ended);
    void ended.finally(() => this.#ending.delete(ended));
  }

  #open(link: PlannedLink): void {
    const key = linkKey(link);
    const from = this.#members.get(link.from)?.link;
    const to = this.#members.get(link.to)?.link;
    if (this.#tasks.has(key) || from === undefined || to === undefined) return;
    const { clock, chance, logger } = this.#ports;
    const { pageEvents, pollMs, auditMs } = this.#config;
    const metrics = this.#metrics;
    const settings = { pageEvents, pollMs, auditMs };
    const task = new LinkTask(link, { from, to, metrics, clock, chance, logger, ...settings });
    this.#tasks.set(key, { link, task });
    logger.info(link, "Link is wanted.");
    task.start();
  }
}

/** Whether it leaves changes nothing about how it is reached. */
function isSameWay(one: RegionConfig, other: RegionConfig): boolean {
  return (
    JSON.stringify({ ...one, leaving: false }) === JSON.stringify({ ...other, leaving: false })
  );
}

export function createBridge(config: BridgeConfig, ports: BridgePorts): Bridge {
  return new Bridge(config, ports);
}
