import { expect, vi } from "vitest";
import type { Bridge } from "@fleetmesh/bridge";
import { systemChance } from "@fleetmesh/core";
import type { RuntimeHarness } from "../integration/runtime-harness.ts";
import { PulsarPair } from "../servers/pulsar-pair.ts";
import { PulsarServer } from "../servers/pulsar-server.ts";
import { openRegions, startBridge, whenReady } from "./geo-mesh-fixture.ts";
import { lyingEvents, type LyingEvent } from "./lying-events.ts";

/** As deploy/three-regions names them, but that the data centre's name ends in a number. */
export const regionNames: readonly string[] = ["cn-east", "cn-west", "idc-1"];

const waiting = { timeout: 120_000, interval: 100 };

export interface ThreeServers {
  readonly east: PulsarServer;
  readonly west: PulsarServer;
  readonly idc: PulsarServer;
  close(): Promise<void>;
}

/** Three clusters, two of them at a time. The third hears of the others by the bridge alone. */
export async function startThreeServers(): Promise<ThreeServers> {
  const pair = await PulsarPair.start();
  try {
    const idc = await PulsarServer.start({ name: "idc-1" });
    const close = async (): Promise<void> => {
      await Promise.all([pair.close(), idc.close()]);
    };
    return { east: pair.east, west: pair.west, idc, close };
  } catch (error) {
    await pair.close();
    throw error;
  }
}

/** Three runtimes, each over a Pulsar of its own, and one bridge between them; idc-1 may only receive. */
export class ThreeRegionFixture {
  readonly east: RuntimeHarness;
  readonly west: RuntimeHarness;
  readonly idc: RuntimeHarness;
  readonly bridge: Bridge;
  readonly tenant: string;

  /** In a namespace of its own. `settings` go into the bridge's configuration. */
  static async open(servers: ThreeServers, settings: object = {}): Promise<ThreeRegionFixture> {
    const tenant = `t-${systemChance.hex64()}`;
    const ends = await openRegions([servers.east, servers.west, servers.idc], tenant);
    const [east, west, idc] = ends.map(({ runtime }) => runtime);
    if (east === undefined || west === undefined || idc === undefined)
      throw new Error("three regions");
    const regions = ends.map(({ runtime, region }) =>
      runtime === idc ? { ...region, receiveOnly: true } : region,
    );
    const bridge = await startBridge(regions, settings);
    const fixture = new ThreeRegionFixture({ east, west, idc, bridge, tenant });
    await Promise.all(fixture.all.map(whenReady));
    return fixture;
  }

  private constructor(of: Pick<ThreeRegionFixture, "east" | "west" | "idc" | "bridge" | "tenant">) {
    this.east = of.east;
    this.west = of.west;
    this.idc = of.idc;
    this.bridge = of.bridge;
    this.tenant = of.tenant;
  }

  get all(): readonly RuntimeHarness[] {
    return [this.east, this.west, this.idc];
  }

  /** Makes the topic where events are published, and waits until it goes from both of them to all others. */
  async linkEverywhere(topic: string): Promise<void> {
    const init = { method: "PUT", headers: { "content-type": "application/json" }, body: "{}" };
    for (const region of [this.east, this.west])
      expect((await region.request(`/v1/topics/${topic}`, init)).status).toBe(200);
    await this.whenLinked(everyLink);
  }

  /** Waits until these links (`from>to`, sorted) and no others are there, all up and with nothing left to bring. */
  async whenLinked(wanted: readonly string[]): Promise<void> {
    await vi.waitFor(() => {
      const links = this.bridge.links();
      expect(links.map(({ from, to }) => `${from}>${to}`).sort()).toEqual(wanted);
      for (const link of links)
        expect(link).toMatchObject({ kind: "pulsar", state: "up", backlog: 0 });
    }, waiting);
  }

  /** See lyingEvents. */
  lyingIn(server: PulsarServer, topic: string, last: readonly string[]): Promise<LyingEvent[]> {
    return lyingEvents({ server, tenant: this.tenant, topic }, last);
  }

  async close(): Promise<void> {
    await this.bridge.stop();
    await Promise.all(this.all.map((region) => region.close()));
  }
}

/** Of a topic that goes everywhere: idc-1 gives nothing out. */
export const everyLink: readonly string[] = [
  "cn-east>cn-west",
  "cn-east>idc-1",
  "cn-west>cn-east",
  "cn-west>idc-1",
];
