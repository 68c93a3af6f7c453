import { vi } from "vitest";
import { bridgeConfigSchema, createBridge, type Bridge } from "@fleetmesh/bridge";
import { createLogger, systemChance, systemClock } from "@fleetmesh/core";
import { createSigningKey } from "@fleetmesh/door";
import { RuntimeHarness } from "../integration/runtime-harness.ts";
import type { PulsarPairAddress } from "../servers/pulsar-pair.ts";
import type { PulsarAddress } from "../servers/pulsar-server.ts";
import { pulsarStoreConfig } from "./pulsar-store-config.ts";

/** Two runtimes, each over a Pulsar of its own, in a namespace of their own, and the bridge between them. */
export class GeoMeshFixture {
  readonly east: RuntimeHarness;
  readonly west: RuntimeHarness;
  bridge: Bridge;
  readonly tenant: string;
  /** How the bridge reaches them, as its configuration says it. */
  readonly regions: readonly object[];

  /** `settings` go into the bridge's configuration; with a `regionsDir` the second region is for its file to bring. */
  static async open(pair: PulsarPairAddress, settings: object = {}): Promise<GeoMeshFixture> {
    const tenant = `t-${systemChance.hex64()}`;
    const ends = await openRegions([pair.east, pair.west], tenant);
    const regions = ends.map(({ region }) => region);
    const [east, west] = ends.map(({ runtime }) => runtime);
    if (east === undefined || west === undefined) throw new Error("two regions");
    const bridge = await startBridge(regions, settings);
    const fixture = new GeoMeshFixture({ east, west, bridge, tenant, regions });
    await Promise.all([whenReady(east), whenReady(west)]);
    return fixture;
  }

  private constructor(of: Omit<GeoMeshFixture, "close" | "bridgeAnew">) {
    this.east = of.east;
    this.west = of.west;
    this.bridge = of.bridge;
    this.tenant = of.tenant;
    this.regions = of.regions;
  }

  /** Another bridge in the place of the one that runs. */
  async bridgeAnew(settings: object): Promise<void> {
    await this.bridge.stop();
    this.bridge = await startBridge(this.regions, settings);
  }

  async close(): Promise<void> {
    await this.bridge.stop();
    await Promise.all([this.east.close(), this.west.close()]);
  }
}

/** A runtime over each of the Pulsars, in the tenant's namespace, and how a bridge reaches it, as its configuration says it. */
export async function openRegions(
  servers: readonly PulsarAddress[],
  tenant: string,
): Promise<{ readonly runtime: RuntimeHarness; readonly region: object }[]> {
  const key = await createSigningKey("mesh");
  const ends = [];
  for (const server of servers) {
    const store = pulsarStoreConfig({ server, namespace: `${tenant}/mesh` });
    const runtime = await RuntimeHarness.open({ region: server.cluster, store }, key);
    const reached = { url: runtime.url, token: await runtime.token() };
    ends.push({ runtime, region: regionOf(server, reached, tenant) });
  }
  return ends;
}

/** With a `regionsDir` all but the first region are for its files to bring. */
export async function startBridge(regions: readonly object[], settings: object): Promise<Bridge> {
  const fixed = "regionsDir" in settings ? regions.slice(0, 1) : regions;
  const config = { regions: fixed, pollMs: 2_000, reconcileMs: 300, graceMs: 1_000, ...settings };
  const logger = createLogger({ part: "bridge", level: "silent" });
  const ports = { clock: systemClock, chance: systemChance, logger };
  const bridge = createBridge(bridgeConfigSchema.parse(config), ports);
  await bridge.start();
  return bridge;
}

/** It takes events. */
export async function whenReady(region: RuntimeHarness): Promise<void> {
  const look = async (): Promise<void> => {
    const { ok } = await fetch(`${region.url}/readyz`);
    if (!ok) throw new Error(`${region.region} is not ready`);
  };
  await vi.waitFor(look, { timeout: 120_000, interval: 100 });
}

function regionOf(
  { cluster, webUrl: adminUrl, brokerUrl, token }: PulsarAddress,
  harness: { readonly url: string; readonly token: string },
  tenant: string,
): object {
  const place = { adminUrl, brokerUrl, ...(token !== undefined && { token }) };
  return { name: cluster, ...harness, pulsar: { cluster, ...place, tenant, reach: place } };
}
