import {
  Assembly,
  seededChance,
  systemChance,
  systemClock,
  type Logger,
  type Part,
} from "@fleetmesh/core";
import { bridgeConfigSchema, createBridge } from "@fleetmesh/bridge";
import { createRuntime, runtimeConfigSchema } from "@fleetmesh/cloud-runtime";
import { createPanel, panelConfigSchema } from "@fleetmesh/control-panel";
import { createEdgeAgent, edgeAgentConfigSchema, type EdgeAgent } from "@fleetmesh/edge-agent";
import { Vehicle } from "@fleetmesh/simulator";
import { writeDevContext } from "./dev-context.ts";
import { devConfigs, type DevConfigs } from "./dev-config.ts";
import { loadDevKeys } from "./dev-keys.ts";
import { httpUrl, mqttUrl, planDev, type DevOptions, type DevPlan } from "./dev-plan.ts";
import { loadDrive } from "./dev-drive.ts";
import { Printer } from "./printer.ts";
import { PrinterSubscription } from "./printer-subscription.ts";
import { LocalClusters } from "./pulsar/local-clusters.ts";
import type { DownloadStep } from "./pulsar/pulsar-download.ts";
import { pulsarPlaces, type PulsarPlace } from "./pulsar/pulsar-place.ts";
import { RegionsReady } from "./regions-ready.ts";

export interface DevPorts {
  readonly logger: Logger;
  /** Where the subscriber prints what it receives. */
  readonly print: (line: string) => void;
  /** How far a download or a server's start is. */
  readonly tell: (step: DownloadStep) => void;
}

export interface DevMesh {
  readonly part: Part;
  readonly plan: DevPlan;
  readonly token: string;
  readonly configs: DevConfigs;
  readonly places: readonly PulsarPlace[];
}

/** Two regions, their bridge, a panel, an edge agent, vehicles and a subscriber in one process, each with state of its own. */
export async function createDevMesh(options: DevOptions, ports: DevPorts): Promise<DevMesh> {
  const plan = planDev(options);
  const keys = await loadDevKeys(plan.dataDir);
  const places = await placesOf(plan);
  const configs = devConfigs(plan, keys, places);
  const system = { clock: systemClock, chance: systemChance, logger: ports.logger };
  // One process here: its numbers are shown once.
  const [first, ...others] = await Promise.all(
    configs.runtimes.map((config, index) => {
      const shared = { ...config, processMetrics: index === 0 };
      return createRuntime(runtimeConfigSchema.parse(shared), system);
    }),
  );
  // The first region's store takes the data directory: a second mesh on it ends there, before it asks for other ports or
  // changes anything that the first one's users read.
  const context: Part = {
    name: "context",
    start: () => writeDevContext(plan, keys.token),
    stop: () => Promise.resolve(),
  };
  const printer = new Printer(plan.printerPort, ports.print);
  const clusters = places.length === 0 ? [] : [new LocalClusters(places, { ...system, ...ports })];
  const runtimes = [...(first ? [first] : []), context, printer, ...others];
  const mesh = new Assembly("mesh", [...clusters, ...runtimes]);
  if (configs.bridge !== undefined)
    mesh.add(createBridge(bridgeConfigSchema.parse(configs.bridge), system));
  mesh.add(createPanel(panelConfigSchema.parse(configs.panel)));
  mesh.add(createEdgeAgent(edgeAgentConfigSchema.parse(configs.agent), system));
  mesh.add(new RegionsReady(plan.regions, systemClock));
  mesh.add(new PrinterSubscription(plan, keys.token));
  await addVehicles(mesh, { configs, options, logger: ports.logger });
  return { part: mesh, plan, token: keys.token, configs, places };
}

function placesOf({ pulsar, regions }: DevPlan): Promise<PulsarPlace[]> {
  if (pulsar === undefined) return Promise.resolve([]);
  const names = regions.map(({ name }) => name);
  return pulsarPlaces(names, pulsar.dir, pulsar.firstPort);
}

interface VehicleSetting {
  readonly configs: DevConfigs;
  readonly options: DevOptions;
  readonly logger: Logger;
}

async function addVehicles(
  mesh: Assembly,
  { configs, options, logger }: VehicleSetting,
): Promise<void> {
  const system = { clock: systemClock, chance: systemChance, logger };
  for (const [index, config] of configs.vehicles.entries()) {
    const agent: EdgeAgent = createEdgeAgent(edgeAgentConfigSchema.parse(config), system);
    const pseudonym = config.agentId;
    const advance = await loadDrive({
      pseudonym,
      chance: seededChance(index + 1),
      replay: options.replay,
    });
    mesh.add(agent);
    mesh.add(
      new Vehicle({
        name: pseudonym,
        clock: systemClock,
        rate: options.rate,
        advance,
        sink: (topic, event) => agent.publish(topic, event),
        onRefused: (error) =>
          logger.warn({ err: error, vehicle: pseudonym }, "The vehicle's event was refused."),
      }),
    );
  }
}

/** What the ready line says to a program. */
export function devReady({ plan, token, places }: DevMesh): Record<string, unknown> {
  const region = ({ name, httpPort, mqttPort }: DevPlan["regions"][number]): [string, unknown] => [
    name,
    { http: httpUrl(httpPort), mqtt: mqttUrl(mqttPort) },
  ];
  const { httpPort, mqttPort, adminPort } = plan.agent;
  return {
    ready: true,
    panel: httpUrl(plan.panelPort),
    regions: Object.fromEntries(plan.regions.map(region)),
    agent: { http: httpUrl(httpPort), mqtt: mqttUrl(mqttPort), status: httpUrl(adminPort) },
    ...(places.length > 0 ? { pulsar: Object.fromEntries(places.map(pulsarOf)) } : {}),
    token,
  };
}

const pulsarOf = ({ region, serviceUrl, adminUrl, tenant, namespace }: PulsarPlace) =>
  [region, { serviceUrl, adminUrl, tenant, namespace }] as const;

/** What it says to a person. */
export function devBanner({ plan, places }: DevMesh): string {
  const regions = plan.regions.map(
    ({ name, httpPort, mqttPort }) =>
      `  ${name.padEnd(12)} ${httpUrl(httpPort)}  ${mqttUrl(mqttPort)}`,
  );
  return [
    "Fleetmesh is running. Ctrl+C stops it; what it holds is kept in " + plan.dataDir,
    `  ${"panel".padEnd(12)} ${httpUrl(plan.panelPort)}`,
    ...regions,
    ...places.map((place) => `  ${"Pulsar".padEnd(12)} ${place.serviceUrl}  ${place.adminUrl}`),
    `  ${"edge agent".padEnd(12)} ${httpUrl(plan.agent.httpPort)}  ${mqttUrl(plan.agent.mqttPort)}  status ${httpUrl(plan.agent.adminPort)}`,
    `  ${"token".padEnd(12)} ${plan.dataDir}/token`,
  ].join("\n");
}
