import { reconnect } from "./reconnect.ts";
import {
  MeshError,
  sleep,
  type Chance,
  type Clock,
  type Logger,
  type Part,
  Backoff,
} from "@fleetmesh/core";
import { Registry } from "prom-client";
import type { BridgeConfig } from "./bridge-config.ts";
import { createBridgeMetrics, type BridgeMetrics } from "./bridge-metrics.ts";
import { HttpRegionLink } from "./http-region-link.ts";
import { linkKey, planLinks, type PlannedLink } from "./link-plan.ts";
import { LinkTask } from "./link-task.ts";
import type { RegionLink, RegionState } from "./region-link.ts";
import { StatusServer } from "./status-server.ts";

export interface BridgePorts {
  readonly clock: Clock;
  readonly chance: Chance;
  readonly logger: Logger;
  /** A registry to count in; its own when left out. */
  readonly registry?: Registry;
}

/** One link as it is now, for status pages. */
export type BridgeLink = Pick<PlannedLink, "from" | "to" | "topic">;

/**
 * The embedded links between all regions: full mesh, without transit. Watches each region's wishes and runs one link for
 * each topic that another region's subscriptions want or a policy lists. Holds no state that a restart would miss.
 */
export class Bridge implements Part {
  readonly name = "bridge";
  readonly registry: Registry;
  readonly #config: BridgeConfig;
  readonly #ports: BridgePorts;
  readonly #metrics: BridgeMetrics;
  readonly #states = new Map<string, RegionState>();
  readonly #tasks = new Map<string, { readonly link: PlannedLink; readonly task: LinkTask }>();
  readonly #stopped = new Set<Promise<void>>();
  #regions = new Map<string, RegionLink>();
  #stopping = new AbortController();
  #watching: Promise<void>[] = [];
  #server: StatusServer | undefined;

  constructor(config: BridgeConfig, ports: BridgePorts) {
    this.#config = config;
    this.#ports = ports;
    this.registry = ports.registry ?? new Registry();
    this.#metrics = createBridgeMetrics(this.registry, () => {
      for (const { task } of this.#tasks.values()) task.observe();
    });
  }

  async start(): Promise<void> {
    if (this.#regions.size > 0) return;
    this.#stopping = new AbortController();
    if (this.#config.http !== undefined) {
      this.#server = new StatusServer(this.#config.http, this.registry);
      await this.#server.start();
    }
    const links = this.#config.regions.map((region) => new HttpRegionLink(region));
    this.#regions = new Map(links.map((link) => [link.region, link]));
    this.#watching = links.map((link) => this.#watch(link));
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await Promise.all(this.#watching);
    const tasks = [...this.#tasks.values()].map(({ task }) => task.stop());
    await Promise.all([...tasks, ...this.#stopped]);
    this.#tasks.clear();
    this.#states.clear();
    await Promise.all([...this.#regions.values()].map((region) => region.close()));
    this.#regions = new Map();
    await this.#server?.stop();
    this.#server = undefined;
  }

  /** The port of /metrics; 0 without. */
  get port(): number {
    return this.#server?.port ?? 0;
  }

  links(): BridgeLink[] {
    return [...this.#tasks.values()].map(({ link: { from, to, topic } }) => ({ from, to, topic }));
  }

  /** Keeps the last known wishes of a region while it does not answer: its links wait for it by themselves. */
  async #watch(region: RegionLink): Promise<void> {
    const { signal } = this.#stopping;
    const { clock, chance, logger } = this.#ports;
    const backoff = new Backoff(reconnect, chance);
    while (!signal.aborted) {
      try {
        const known = this.#states.get(region.region)?.tag;
        const waitMs = known === undefined ? 0 : this.#config.pollMs;
        const state = await region.state(known, waitMs, signal);
        backoff.reset();
        this.#onState(region.region, state);
      } catch (thrown) {
        if (this.#isStopping()) return;
        const { code, message } = MeshError.from(thrown);
        if (backoff.failures === 0) {
          logger.warn({ region: region.region, code, reason: message }, "Region is not reached.");
        }
        await sleep(clock, backoff.next(), signal);
      }
    }
  }

  #isStopping(): boolean {
    return this.#stopping.signal.aborted;
  }

  #onState(name: string, state: RegionState): void {
    if (state.region !== name) {
      throw new MeshError("CONFIG_INVALID", `"${name}" calls itself "${state.region}"`, {
        hint: "Correct the name or the URL in the bridge's regions.",
      });
    }
    const isNew = this.#states.get(name)?.tag !== state.tag;
    this.#states.set(name, state);
    if (isNew) this.#replan();
  }

  #replan(): void {
    const wanted = planLinks(this.#states, this.#config.topics);
    for (const [key, { link, task }] of this.#tasks) {
      if (wanted.has(key)) continue;
      this.#tasks.delete(key);
      this.#ports.logger.info(link, "Link is no longer wanted.");
      const stopped = task.stop();
      this.#stopped.add(stopped);
      void stopped.finally(() => this.#stopped.delete(stopped));
    }
    for (const link of wanted.values()) this.#open(link);
  }

  #open(link: PlannedLink): void {
    const key = linkKey(link);
    const from = this.#regions.get(link.from);
    const to = this.#regions.get(link.to);
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

export function createBridge(config: BridgeConfig, ports: BridgePorts): Bridge {
  return new Bridge(config, ports);
}
