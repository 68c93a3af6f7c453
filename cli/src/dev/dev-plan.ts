import { join, resolve } from "node:path";
import { MeshError } from "@fleetmesh/core";

export interface DevOptions {
  readonly dataDir: string;
  readonly portBase: number;
  readonly vehicles: number;
  readonly rate: number;
  readonly regions: string;
  readonly headless?: boolean;
  readonly replay?: string;
  /** Real local Pulsar clusters instead of SQLite. */
  readonly pulsar?: boolean;
  /** Write the configuration files there and start nothing. */
  readonly writeConfig?: string;
}

export interface RegionPlan {
  readonly name: string;
  readonly dataDir: string;
  readonly httpPort: number;
  readonly mqttPort: number;
}

/** Where everything of a dev mesh listens and lies; interfaces.md fixes the ports. */
export interface DevPlan {
  readonly dataDir: string;
  readonly panelPort: number;
  /** The bridge's /livez and /metrics. */
  readonly bridgePort: number;
  /** Of the subscriber that prints: fixed, so that a restart finds it where its subscription says. */
  readonly printerPort: number;
  readonly regions: readonly RegionPlan[];
  /** Of the regions' Pulsar clusters; undefined where SQLite is the store. */
  readonly pulsar: { readonly dir: string; readonly firstPort: number } | undefined;
  readonly agent: {
    readonly dataDir: string;
    readonly httpPort: number;
    readonly mqttPort: number;
    readonly adminPort: number;
  };
  readonly vehicles: readonly {
    readonly agentId: string;
    readonly dataDir: string;
    readonly region: RegionPlan;
  }[];
}

const host = "127.0.0.1";
export const httpUrl = (port: number): string => `http://${host}:${port}`;
export const mqttUrl = (port: number): string => `mqtt://${host}:${port}`;
const regionCountMax = 8;

export function planDev(options: DevOptions): DevPlan {
  const { portBase } = options;
  const dataDir = resolve(options.dataDir);
  // Each kind of store has agents of its own: what one region's store knows of an agent, the other does not.
  const stateDir = options.pulsar === true ? join(dataDir, "pulsar") : dataDir;
  const names = options.regions.split(",").map((name) => name.trim());
  const isValid =
    names.every((name) => /^[a-z0-9-]{1,40}$/.test(name)) && new Set(names).size === names.length;
  if (!isValid || names.length > regionCountMax) {
    const hint = `Give up to ${regionCountMax} different names of a-z, 0-9 and -, e.g. --regions cn-east,cn-west.`;
    throw new MeshError("USAGE", `--regions ${options.regions} is not a list of region names`, {
      hint,
    });
  }
  const regions = names.map((name, index) => ({
    name,
    dataDir: join(stateDir, "regions", name),
    httpPort: portBase + 1 + index,
    mqttPort: portBase + 11 + index,
  }));
  const agent = {
    dataDir: join(stateDir, "agents", "edge-1"),
    httpPort: portBase + 20,
    mqttPort: portBase + 21,
    adminPort: portBase + 22,
  };
  const vehicles = Array.from({ length: options.vehicles }, (_, index) => {
    const agentId = `vehicle-${index + 1}`;
    const region = regions[index % regions.length] as RegionPlan;
    return { agentId, dataDir: join(stateDir, "agents", agentId), region };
  });
  const ports = { panelPort: portBase, bridgePort: portBase + 23, printerPort: portBase + 30 };
  const pulsar = { dir: join(stateDir, "clusters"), firstPort: portBase + 40 };
  const store = { pulsar: options.pulsar === true ? pulsar : undefined };
  return { dataDir, ...ports, ...store, regions, agent, vehicles };
}
