import { readFile } from "node:fs/promises";
import type { Clock } from "@fleetmesh/core";
import {
  HttpPulsarAdmin,
  HttpReplicationAdmin,
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
type Credential = Pick<PulsarConfig, "token" | "tokenFile">;

export function openGeoRegion(region: string, config: PulsarConfig, clock: Clock): GeoRegion {
  const { cluster, adminUrl: url, brokerUrl, tenant, namespace, reach } = config;
  const hasToken = config.token !== undefined || config.tokenFile !== undefined;
  const token = hasToken ? async () => (await tokenOf(config)) ?? "" : undefined;
  const options = { url, tenant, namespace, clock, token };
  const admin = new HttpPulsarAdmin(options);
  const replication = new HttpReplicationAdmin(options);
  return {
    ...{ region, cluster, replication },
    address: async () =>
      reach === undefined
        ? { adminUrl: url.split(",", 1)[0] ?? url, brokerUrl }
        : { adminUrl: reach.adminUrl, brokerUrl: reach.brokerUrl, token: await tokenOf(reach) },
    topics: () => admin.topics(),
    ensureNamespace: () => admin.ensureNamespace([cluster]),
    close: async () => {
      await Promise.all([admin.close(), replication.close()]);
    },
  };
}

/** From the file at each use: it may be a newer one. */
async function tokenOf({ token, tokenFile }: Credential): Promise<string | undefined> {
  return tokenFile === undefined ? token : (await readFile(tokenFile, "utf8")).trim();
}
