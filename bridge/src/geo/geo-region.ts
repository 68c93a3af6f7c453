import type { Clock } from "@fleetmesh/core";
import {
  HttpPulsarAdmin,
  HttpReplicationAdmin,
  tokenSource,
  type ClusterAddress,
  type ReplicationAdmin,
} from "@fleetmesh/pulsar";
import type { RegionConfig } from "../region-config.ts";

/** A region's Pulsar, as the bridge sees it. */
export interface GeoRegion {
  readonly region: string;
  readonly cluster: string;
  readonly replication: ReplicationAdmin;
  /** How the other clusters reach it. */
  address(): Promise<ClusterAddress>;
  ensureNamespace(): Promise<void>;
  /** All of the namespace, those that the mesh keeps for itself among them. */
  topics(): Promise<string[]>;
  close(): Promise<void>;
}

type PulsarConfig = NonNullable<RegionConfig["pulsar"]>;

export function openGeoRegion(region: string, config: PulsarConfig, clock: Clock): GeoRegion {
  const { cluster, adminUrl: url, brokerUrl, tenant, namespace, reach } = config;
  const options = { url, tenant, namespace, clock, token: tokenSource(config, clock) };
  const reachToken = reach && tokenSource(reach, clock);
  const admin = new HttpPulsarAdmin(options);
  const replication = new HttpReplicationAdmin(options);
  return {
    ...{ region, cluster, replication },
    address: async () =>
      reach === undefined
        ? { adminUrl: url.split(",", 1)[0] ?? url, brokerUrl }
        : { adminUrl: reach.adminUrl, brokerUrl: reach.brokerUrl, token: await reachToken?.() },
    topics: () => admin.topics(),
    ensureNamespace: () => admin.ensureNamespace([cluster]),
    close: async () => {
      await Promise.all([admin.close(), replication.close()]);
    },
  };
}
