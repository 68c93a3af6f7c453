import { join } from "node:path";
import type { BridgeConfigInput } from "@fleetmesh/bridge";
import type { RuntimeConfigInput } from "@fleetmesh/cloud-runtime";
import type { PanelConfigInput } from "@fleetmesh/control-panel";
import type { EdgeAgentConfigInput } from "@fleetmesh/edge-agent";
import type { DevKeys } from "./dev-keys.ts";
import { httpUrl, mqttUrl, type DevPlan, type RegionPlan } from "./dev-plan.ts";
import type { PulsarPlace } from "./pulsar/pulsar-place.ts";

/** The configuration of every process of a dev mesh, as `mesh run` reads it. */
export interface DevConfigs {
  readonly runtimes: readonly RuntimeConfigInput[];
  readonly bridge: BridgeConfigInput | undefined;
  readonly panel: PanelConfigInput;
  readonly agent: EdgeAgentConfigInput;
  readonly vehicles: readonly EdgeAgentConfigInput[];
}

/** `places`: the regions' Pulsar; empty where SQLite is the store. */
export function devConfigs(
  plan: DevPlan,
  keys: DevKeys,
  places: readonly PulsarPlace[],
): DevConfigs {
  const auth = {
    jwks: { keys: [keys.signingKey.publicKey as Record<string, unknown> & { kty: string }] },
  };
  const tokenFile = join(plan.dataDir, "token");
  const runtime = (region: RegionPlan): RuntimeConfigInput => ({
    region: region.name,
    dataDir: region.dataDir,
    http: { port: region.httpPort },
    mqtt: { port: region.mqttPort },
    auth,
    autoCreateTopics: true,
    allowPrivateSinks: true,
    retention: { bytes: 1024 ** 3 },
    ...storeOf(places.find((place) => place.region === region.name)),
  });
  const regions = plan.regions.map(({ name, httpPort }) => ({ name, url: httpUrl(httpPort) }));
  const uplink = (region: RegionPlan | undefined) => ({
    url: mqttUrl(region?.mqttPort ?? 0),
    tokenFile,
  });
  const adminUrl = httpUrl(plan.agent.adminPort);
  return {
    runtimes: plan.regions.map(runtime),
    bridge: regions.length < 2 ? undefined : bridgeOf(plan, places),
    panel: {
      port: plan.panelPort,
      token: keys.token,
      regions,
      agents: [{ name: "edge-1", url: adminUrl }],
    },
    agent: {
      agentId: "edge-1",
      dataDir: plan.agent.dataDir,
      auth,
      doors: { http: { port: plan.agent.httpPort }, mqtt: { port: plan.agent.mqttPort } },
      admin: { port: plan.agent.adminPort },
      uplink: uplink(plan.regions[0]),
    },
    vehicles: plan.vehicles.map(({ agentId, dataDir, region }) => ({
      agentId,
      dataDir,
      uplink: uplink(region),
    })),
  };
}

function storeOf(place: PulsarPlace | undefined): Pick<RuntimeConfigInput, "store"> {
  if (place === undefined) return {};
  const { serviceUrl, adminUrl, tenant, namespace } = place;
  return { store: { type: "pulsar", serviceUrl, adminUrl, tenant, namespace } };
}

function bridgeOf(plan: DevPlan, places: readonly PulsarPlace[]): BridgeConfigInput {
  const tokenFile = join(plan.dataDir, "token");
  const pulsarOf = (name: string): object => {
    const place = places.find(({ region }) => region === name);
    if (place === undefined) return {};
    const { region: cluster, adminUrl, serviceUrl: brokerUrl, tenant, namespace } = place;
    return { pulsar: { cluster, adminUrl, brokerUrl, tenant, namespace } };
  };
  return {
    regions: plan.regions.map(({ name, httpPort }) => ({
      ...{ name, url: httpUrl(httpPort), tokenFile },
      ...pulsarOf(name),
    })),
    http: { port: plan.bridgePort },
    // Somebody sits in front of it and waits.
    ...(places.length > 0 ? { reconcileMs: 1_000 } : {}),
  };
}
